//! Builds for a chip only if nothing in the libraries and beneath them uses a heap: there is no allocator here, and the
//! compiler refuses to make a static library out of anything that links `alloc` without one.
//!
//! On a computer this crate is empty.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
mod chip {
    use core::panic::PanicInfo;

    use net_core as _;
    use net_services as _;

    #[panic_handler]
    fn panic(_: &PanicInfo<'_>) -> ! {
        loop {}
    }
}
