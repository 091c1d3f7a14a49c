//! net-core on emulated bare metal: two stacks and a cable in one program on QEMU's riscv32 board `virt`, with a CPU that
//! has no atomic instructions, as the ESP32-C3's.
//!
//! It checks that everything works there, and prints how many instructions it took. Time is virtual, as in the tests on
//! a computer: the clock jumps when nothing else can run. So with QEMU's `-icount shift=0` every run counts the same.
//!
//! On a computer this program does nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]
// A test: what goes wrong ends it, and nothing runs beside it.
#![allow(clippy::expect_used, clippy::panic, clippy::await_holding_refcell_ref, clippy::large_futures)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
mod work;
