//! Network services on the traits of `net-core`. The first of them is not here yet; see the README.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "http")]
pub mod http;
