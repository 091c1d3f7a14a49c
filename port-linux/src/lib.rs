//! lunet on Linux.

mod executor;
pub mod host;
mod netlink;
mod routes;
#[cfg(test)]
mod testing;
mod time_driver;

pub use executor::block_on;
