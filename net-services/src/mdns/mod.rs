//! Multicast DNS and DNS-based service discovery (RFC 6762, RFC 6763).

mod answer;
mod browse;
mod browser;
mod cache;
mod claim;
mod clock;
mod config;
mod conflict;
mod data;
mod engine;
mod error;
mod local_names;
mod lookup;
mod marks;
mod message;
mod name;
mod network;
mod numbered;
mod own;
mod pending;
mod pool;
mod probe;
mod publish;
mod questions;
mod random;
mod reply;
mod responder;
mod service;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transmit;
mod txt;
mod types;

pub use browse::{Browse, BrowseTypes, Found, FoundType, Instance};
pub use config::{Config, QUESTION_BYTES, RECORD_BYTES, Resources, SERVICE_BYTES};
pub use engine::{Arrival, Destination, Engine, GROUP_V4, GROUP_V6, HOP_LIMIT, PORT, Transmit};
pub use error::MdnsError;
pub use name::Label;
pub use service::Mdns;
pub use txt::Txt;
pub use types::{Event, HostId, SUBTYPES, Service, ServiceId, Stats};

use types::QuestionId;
