//! Scripts against a network in memory, in virtual time.

mod base;
mod common;
