//! QEMU's riscv32 board `virt`, with a CPU that has no atomic instructions, as the ESP32-C3's: what a test program needs of it.
//!
//! Time is virtual, as in the tests on a computer: the clock jumps when nothing else can run. So with QEMU's
//! `-icount shift=0` every run counts the same instructions.
//!
//! On a computer this crate is empty.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
pub use board::*;
