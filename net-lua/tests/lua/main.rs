//! Scripts against a network in memory, in virtual time.

mod base;
mod common;
mod names;
mod tcp_client;
mod tcp_data;
mod tcp_server;
mod tmr;
mod udp;
