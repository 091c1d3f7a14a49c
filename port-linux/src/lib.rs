//! lunet on Linux.

mod executor;
pub mod host;
mod mac;
mod netlink;
pub mod pcap;
mod routes;
pub mod tap;
#[cfg(test)]
mod testing;
mod time_driver;
pub mod user;

pub use executor::block_on;
pub use mac::Mac;
