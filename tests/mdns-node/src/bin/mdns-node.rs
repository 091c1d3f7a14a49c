//! The device with mDNS, as the firmware of a chip. On a computer this program does nothing.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
#[path = "../firmware.rs"]
mod firmware;

#[cfg(target_os = "none")]
#[riscv_rt::entry]
fn start() -> ! {
    static MEMORY: static_cell::ConstStaticCell<mdns_node::Memory> =
        static_cell::ConstStaticCell::new(mdns_node::Memory::NEW);
    firmware::run(async |stack| mdns_node::node(stack, MEMORY.take()).await)
}
