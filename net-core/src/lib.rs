//! Sockets, names, events and time for small networked devices.
//!
//! `net-core` is the ground floor of lunet: it knows no service, no Lua and no board. It has two halves, and a
//! program may take either.
//!
//! **Traits** ([`nal`]): `embedded-nal-async` and `embedded-io-async` as they are published, and beside them small
//! traits for what those lack: listening, half-close, abort, readiness, socket options, multicast groups and network
//! events. Services are written against these and never against a stack.
//!
//! **A stack** (`stack`, with feature `ipv4` or `ipv6`): smoltcp, wrapped so that its public surface has only
//! `core::net` types, over any `embassy_net_driver::Driver`. A firmware that has embassy-net already puts the traits on
//! that instead (`embassy_net`). Beside them are a resolver (`dns`), and for tests an in-memory network cable (`cable`).
//!
//! Everything is `no_std`; without the feature `alloc` nothing touches a heap, and no code here is unsafe.
//!
//! # Features
//!
//! | Feature | Default | What it brings |
//! |---|---|---|
//! | `ipv4` | yes | the stack, with IPv4 |
//! | `ipv6` | | the stack, with IPv6: link-local addresses, SLAAC, neighbour discovery, MLDv2 |
//! | `tcp` | yes | TCP sockets and listeners of the stack |
//! | `udp` | yes | UDP sockets of the stack |
//! | `dhcp` | yes | a DHCPv4 client |
//! | `icmp` | yes | answering echo requests, and `Stack::ping` |
//! | `multicast` | | joining groups: IGMPv2 and MLDv2 |
//! | `embassy-net` | | the traits over an embassy-net 0.9 stack, where there is one |
//! | `dns` | yes | the resolver, for any stack |
//! | `alloc` | | sockets made and freed as needed, instead of a fixed pool |
//! | `cable` | | the in-memory cable (needs a heap) |
//! | `log`, `defmt` | | where log lines go; without either, nowhere |
#![no_std]
#![forbid(unsafe_code)]
// The traits of this crate are, as those of embedded-nal-async, for single-threaded executors: no `Send` bound is
// wanted on the futures.
#![allow(async_fn_in_trait)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(feature = "embassy-net", all(feature = "tcp", any(feature = "ipv4", feature = "ipv6"))))]
#[macro_use]
mod halves;

#[cfg(any(feature = "embassy-net", feature = "ipv4", feature = "ipv6"))]
mod address;
mod error;
pub mod events;
pub mod limits;
#[doc(hidden)]
pub mod log;
pub mod nal;
#[cfg(any(feature = "embassy-net", all(feature = "udp", any(feature = "ipv4", feature = "ipv6"))))]
mod queue;
#[cfg(any(feature = "cable", feature = "dns", feature = "embassy-net", feature = "ipv4", feature = "ipv6"))]
mod random;
pub mod time;
pub mod waiters;

#[cfg(feature = "cable")]
pub mod cable;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "embassy-net")]
pub mod embassy_net;
#[cfg(any(feature = "ipv4", feature = "ipv6"))]
pub mod stack;

/// Addresses with a prefix length, as in `10.0.0.2/24`.
pub use cidr;
/// Drivers: any type that implements this trait can carry the stack.
pub use embassy_net_driver as driver;
pub use error::Error;
