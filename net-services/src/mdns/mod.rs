//! Multicast DNS and DNS-based service discovery (RFC 6762, RFC 6763).

mod asking;
mod browser;
mod cache;
mod cached;
mod config;
mod data;
mod engine;
mod error;
mod interest;
mod message;
mod name;
mod network;
mod observing;
mod own;
mod pool;
mod questions;
mod random;
mod responder;
mod txt;
mod types;

pub use config::{Config, QUESTION_BYTES, RECORD_BYTES, Resources, SERVICE_BYTES};
pub use engine::{Arrival, Destination, Engine, GROUP_V4, GROUP_V6, HOP_LIMIT, PORT, Transmit};
pub use error::MdnsError;
pub use name::Label;
pub use txt::Txt;
pub use types::{Event, HostId, SUBTYPES, Service, ServiceId, Stats};

use types::QuestionId;
