//! Network services on the traits of `net-core`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "http")]
pub mod http;
