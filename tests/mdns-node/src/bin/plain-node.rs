//! The device without mDNS, as the firmware of a chip. On a computer this program does nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
#[path = "../firmware.rs"]
mod firmware;

#[cfg(target_os = "none")]
#[riscv_rt::entry]
fn start() -> ! {
    firmware::run(mdns_node::plain)
}
