//! What the services promise, checked over any network behind the traits of `net_core::nal`.
//!
//! A service is written against the traits once. That it behaves the same over each of them is tested here: over the
//! stack, over the computer's own sockets, and over an embassy-net stack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::large_futures)] // these are tests
#![allow(async_fn_in_trait)]

pub mod http;
pub mod http_client;
pub mod mdns;
pub mod websocket;
