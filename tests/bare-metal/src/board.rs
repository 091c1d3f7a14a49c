//! The board: start, serial port, power switch, heap, virtual clock, executor.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::future::Future;
use core::panic::PanicInfo;
use core::pin::Pin;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};

use embedded_alloc::LlffHeap;

/// The in-memory cable's frames.
const HEAP: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: LlffHeap = LlffHeap::empty();

/// State of the only hart, which no interrupt touches: none is ever enabled.
struct Single<T>(T);

// SAFETY: there is one hart and no interrupt, so nothing is ever shared.
#[allow(unsafe_code)]
unsafe impl<T> Sync for Single<T> {}

/// How many tasks there may be.
const TASKS: usize = 4;

static NOW: Single<Cell<u64>> = Single(Cell::new(0));
/// For each task: whether it has been woken, and when it wants to be.
static WOKEN: Single<[Cell<bool>; TASKS]> = Single([const { Cell::new(true) }; TASKS]);
static WAKE_AT: Single<[Cell<u64>; TASKS]> = Single([const { Cell::new(u64::MAX) }; TASKS]);

#[riscv_rt::entry]
fn start() -> ! {
    #[allow(unsafe_code)]
    {
        static mut MEMORY: [u8; HEAP] = [0; HEAP];
        // SAFETY: called once, before anything is allocated, with memory that is used for nothing else.
        unsafe { ALLOCATOR.init((&raw mut MEMORY) as usize, HEAP) }
    }
    crate::work::all();
    println("done");
    power_off(true)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Serial, "panic: {info}");
    power_off(false)
}

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
pub(crate) fn println(line: impl fmt::Display) {
    let _ = writeln!(Serial, "{line}");
}

fn power_off(well: bool) -> ! {
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
pub(crate) fn instructions() -> u64 {
    riscv::register::minstret::read64()
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

/// Runs tasks until the last of them ends, each only when it has been woken; when all wait, the clock jumps to the
/// earliest timer.
pub(crate) fn run(mut tasks: [Pin<&mut dyn Future<Output = ()>>; TASKS]) {
    loop {
        let mut idle = true;
        for (number, task) in tasks.iter_mut().enumerate() {
            if !WOKEN.0[number].replace(false) {
                continue;
            }
            idle = false;
            #[allow(unsafe_code)]
            // SAFETY: the vtable's functions take the data for a number, which it is, and never for an address.
            let waker = unsafe { Waker::from_raw(RawWaker::new(core::ptr::without_provenance(number), &VTABLE)) };
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() && number == TASKS - 1 {
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
