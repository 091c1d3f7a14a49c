//! Scripts against a network in memory, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests
#![allow(clippy::large_futures)] // a test has more stack than a chip

mod base;
mod common;
mod names;
mod tcp_client;
mod tcp_data;
mod tcp_server;
mod tmr;
mod udp;
