//! Network services for devices, driven by Lua: the bindings.
//!
//! A port gives its networks ([`Adapter`]) and the rest of its device ([`Platform`]); a [`Runtime`] then runs Lua 5.4
//! scripts that use them through the API of the NodeMCU firmware. One future drives a runtime: it needs no thread
//! and no executor in particular.
//!
//! ```
//! # use net_lua::{Exit, Options, Platform, Runtime};
//! # use std::rc::Rc;
//! async fn run(platform: Rc<dyn Platform>) -> Result<Exit, net_lua::Error> {
//!     let runtime = Runtime::new(platform, Options::default())?;
//!     let exit = runtime.run_file("init.lua", &[]).await;
//!     runtime.shutdown().await;
//!     Ok(exit)
//! }
//! ```
//!
//! # What scripts find
//! The whole of `net` as the newest NodeMCU document describes it, and beside it what the older documents have and the
//! newest dropped (connected UDP sockets, UDP servers that answer the last sender).
//!
//! | Where documents and firmwares disagree | here |
//! |---|---|
//! | `close` of what is not open | does nothing |
//! | an own `close` | brings no event; what was sent before is still delivered |
//! | several `send`s | are queued, 11,680 bytes at the most; one that does not fit raises `out of memory` and queues nothing |
//! | `sent` | once for each `send`, in order, when the peer has acknowledged it |
//! | data without a `receive` handler | is kept until there is one; the peer's window closes meanwhile |
//! | the peer closes | all data is delivered, sends under way are finished, then `disconnection` with 0 |
//! | a name that cannot be resolved in `connect` | `dns(sck, nil)`, then `reconnection` or `disconnection` with -6 |
//! | other errors | the numbers of lwIP 1.4: -9 refused or reset, -8 timed out, -4 no route, -1 no free socket |
//! | a server's timeout | no data received and nothing acknowledged for so long: -8 |
//! | events | always on a later turn, never within the call that causes them |
//! | an error in a callback | goes to `node.onerror`'s function or to the log; the socket stays open |
//! | DNS servers | `setdnsserver`, else what DHCP said, else 208.67.222.222; the first until the link goes down |
//! | several networks | listening is on all of them; what goes out takes the network that its destination is in |
//! | `net.profile = "gen2"` | `getpeer` gives ip, port; an own `close` brings `disconnection`; `send` takes 1,460 bytes |
//!
//! Beside it: `tmr` (also in its numbered form), `node.restart` and `node.onerror`, `print`, `require`, `dofile`,
//! `loadfile` and `load` from the device's files (text only), `os.time`, `os.date`, `os.clock` and `os.difftime` in UTC,
//! `debug.traceback`, and Lua's own `coroutine`, `math`, `string`, `table` and `utf8`.
//!
//! Not there: `io`, other parts of `os` and `debug`, bytecode; secure connections (`secure connections not enabled`);
//! `net.ping`.
//!
//! # Features
//!
//! | Feature | Default | What it brings |
//! |---|---|---|
//! | `vendored` | yes | Lua itself, compiled from source. A firmware goes without it and links its own build |
#![no_std]
#![forbid(unsafe_code)]
// Single-threaded executors: no `Send` bound is wanted on the futures.
#![allow(async_fn_in_trait)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod adapter;
mod base;
mod binding;
mod engine;
pub mod limits;
mod nodemcu;
mod os;
pub mod platform;
mod runtime;

pub use adapter::{Adapter, NetAdapter};
/// The error of `mlua`.
pub use mlua::Error;
pub use platform::{Files, Level, Platform, Role, Store};
pub use runtime::{Eval, Exit, Options, Runtime};
