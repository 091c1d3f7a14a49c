//! Network services for small devices, on the traits of [`net_core::nal`].
//!
//! A service runs on whatever carries those traits: lunet's own stack, an embassy-net stack that a firmware already has, or
//! a computer's sockets. Everything is `no_std`, without a heap unless feature `alloc` is chosen, and without unsafe code.
//!
//! All services have one shape. Inside is an engine that does no I/O and is given the time. Beside it is a thin
//! `async fn run`, which ends only when it cannot bind or is stopped; every other failure is counted, logged and
//! survived. The configuration can be a `const`, and nothing in it is unbounded. `stats()` tells what has been done.
//!
//! # Features
//! None is chosen by default.
//!
//! | Feature | What it brings |
//! |---|---|
//! | `http` | the module [`http`]: server and client, WebSockets, server-sent events, forms, files |
//! | `mdns` | the module [`mdns`]: multicast DNS and service discovery, responder and browser |
//! | `alloc` | conveniences on the global allocator |
//! | `embed` | for build scripts, with std: a directory of files as a part of the program |
//! | `log`, `defmt` | log lines through `log` or `defmt`; without either, nowhere |
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
#[cfg(feature = "mdns")]
pub mod mdns;
