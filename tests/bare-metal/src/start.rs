//! The start of the program, its heap and its panics.

use core::panic::PanicInfo;

use board::{power_off, println};
use embedded_alloc::LlffHeap;

/// The in-memory cable's frames.
const HEAP: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: LlffHeap = LlffHeap::empty();

#[riscv_rt::entry]
fn start() -> ! {
    #[allow(unsafe_code)]
    {
        static mut MEMORY: [u8; HEAP] = [0; HEAP];
        // SAFETY: called once, before anything is allocated, with memory that is used for nothing else.
        unsafe { ALLOCATOR.init((&raw mut MEMORY) as usize, HEAP) }
    }
    crate::sockets::all();
    crate::pages::all();
    crate::names::all();
    println("done");
    power_off(true)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println(info);
    power_off(false)
}
