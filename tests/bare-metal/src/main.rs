//! The libraries on emulated bare metal: two stacks and a cable in one program on QEMU's riscv32 board `virt`.
//!
//! It checks that everything works there, and prints how many instructions it took.
//!
//! On a computer this program does nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]
// A test: what goes wrong ends it, and nothing runs beside it.
#![allow(clippy::expect_used, clippy::panic, clippy::await_holding_refcell_ref, clippy::large_futures)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
mod hosts;
#[cfg(target_os = "none")]
mod names;
#[cfg(target_os = "none")]
mod pages;
#[cfg(target_os = "none")]
mod sockets;
#[cfg(target_os = "none")]
mod start;
