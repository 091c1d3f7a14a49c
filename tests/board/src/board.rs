use core::cell::Cell;
use core::fmt::{self, Write};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

/// State of the only hart, which no interrupt touches: none is ever enabled.
struct Single<T>(T);

// SAFETY: there is one hart and no interrupt, so nothing is ever shared.
#[allow(unsafe_code)]
unsafe impl<T> Sync for Single<T> {}

/// How many tasks there may be.
pub const TASKS: usize = 4;

static NOW: Single<Cell<u64>> = Single(Cell::new(0));
/// For each task: whether it has been woken, and when it wants to be.
static WOKEN: Single<[Cell<bool>; TASKS]> = Single([const { Cell::new(true) }; TASKS]);
static WAKE_AT: Single<[Cell<u64>; TASKS]> = Single([const { Cell::new(u64::MAX) }; TASKS]);
/// For each task: the instructions it has taken.
static SPENT: Single<[Cell<u64>; TASKS]> = Single([const { Cell::new(0) }; TASKS]);

/// The 16550 of the board.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            #[allow(unsafe_code)]
            // SAFETY: the board's serial port has its data register there, and takes any byte at any time.
            unsafe {
                (0x1000_0000 as *mut u8).write_volatile(byte);
            }
        }
        Ok(())
    }
}

/// Writes a line.
pub fn println(line: impl fmt::Display) {
    let _ = writeln!(Serial, "{line}");
}

/// Ends QEMU, with status 0 when all was well and 1 otherwise.
pub fn power_off(well: bool) -> ! {
    #[allow(unsafe_code)]
    // SAFETY: the board's power switch is there; these two values end QEMU with status 0 and 1.
    unsafe {
        (0x10_0000 as *mut u32).write_volatile(if well { 0x5555 } else { 0x1_3333 });
    }
    loop {
        core::hint::spin_loop();
    }
}

/// Instructions since the start.
pub fn instructions() -> u64 {
    riscv::register::minstret::read64()
}

/// Instructions that the task of this number has taken in the [`run`] that is going on, without those of the poll in
/// which it asks.
pub fn spent_by(task: usize) -> u64 {
    SPENT.0.get(task).map_or(0, Cell::get)
}

/// Bytes of call stack that are watched.
const WATCHED: usize = 16 * 1024;
/// What a watched byte is until it is used.
const UNUSED: u8 = 0xa5;

/// The part of the call stack that lies beneath whoever calls, lowest byte first.
#[inline(always)]
fn free_stack() -> *mut [u8; WATCHED] {
    let top: usize;
    #[allow(unsafe_code)]
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mv {}, sp", out(reg) top, options(nomem, nostack));
    }
    // The board's RAM is there, and nothing but the stack grows into this part of it.
    core::ptr::with_exposed_provenance_mut(top - WATCHED)
}

static DEEPEST: Single<Cell<usize>> = Single(Cell::new(0));

/// Bytes of call stack that the tasks of the last [`run`] needed at the most, one at a time. Their futures are not in it.
pub fn deepest_stack() -> usize {
    DEEPEST.0.get()
}

struct VirtualTime;

impl embassy_time_driver::Driver for VirtualTime {
    fn now(&self) -> u64 {
        NOW.0.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Only the wakers of `run` are ever seen here; their data is the number of their task.
        if let Some(wake_at) = WAKE_AT.0.get(waker.data() as usize) {
            wake_at.set(wake_at.get().min(at));
        }
    }
}

#[allow(unsafe_code)] // the macro exports the driver's two symbols unmangled
mod driver {
    use super::VirtualTime;
    embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime);
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(|task| RawWaker::new(task, &VTABLE), wake, wake, |_| {});

fn wake(task: *const ()) {
    if let Some(woken) = WOKEN.0.get(task as usize) {
        woken.set(true);
    }
}

/// Runs at most [`TASKS`] tasks until the last of them ends, each only when it has been woken; when all wait, the clock
/// jumps to the earliest timer.
///
/// # Panics
/// When there is no timer left to wait for.
pub fn run(tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) {
    let stack = free_stack().cast::<u8>();
    for i in 0..WATCHED {
        #[allow(unsafe_code)]
        // SAFETY: this function calls nothing here, so nothing is in use beneath it.
        unsafe {
            stack.add(i).write_volatile(UNUSED);
        }
    }
    poll_all(tasks);
    #[allow(unsafe_code)]
    // SAFETY: as above.
    let unused = (0..WATCHED).take_while(|i| unsafe { stack.add(*i).read_volatile() } == UNUSED).count();
    DEEPEST.0.set(WATCHED - unused);
}

fn poll_all(tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) {
    for ((woken, wake_at), spent) in WOKEN.0.iter().zip(&WAKE_AT.0).zip(&SPENT.0) {
        woken.set(true);
        wake_at.set(u64::MAX);
        spent.set(0);
    }
    let last = tasks.len() - 1;
    loop {
        let mut idle = true;
        for ((number, task), (woken, spent)) in tasks.iter_mut().enumerate().zip(WOKEN.0.iter().zip(&SPENT.0)) {
            if !woken.replace(false) {
                continue;
            }
            idle = false;
            #[allow(unsafe_code)]
            // SAFETY: the vtable's functions take the data for a number, which it is, and never for an address.
            let waker = unsafe { Waker::from_raw(RawWaker::new(core::ptr::without_provenance(number), &VTABLE)) };
            let before = instructions();
            let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
            spent.set(spent.get() + (instructions() - before));
            if poll.is_ready() && number == last {
                return;
            }
        }
        if idle {
            let next = WAKE_AT.0.iter().map(Cell::get).min().unwrap_or(u64::MAX);
            assert!(next != u64::MAX, "waiting for something that can never happen");
            NOW.0.set(NOW.0.get().max(next));
            for (wake_at, woken) in WAKE_AT.0.iter().zip(&WOKEN.0) {
                if wake_at.get() <= next {
                    wake_at.set(u64::MAX);
                    woken.set(true);
                }
            }
        }
    }
}
