//! Network services on the traits of `net-core`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
// `embed` is for build scripts, which run on a computer.
#[cfg(any(feature = "embed", test))]
extern crate std;

/// Log lines go where those of `net-core` go.
#[allow(unused_imports)] // which are used depends on the features
use net_core::log;

#[cfg(feature = "http")]
pub mod http;
