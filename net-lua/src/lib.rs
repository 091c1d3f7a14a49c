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
