//! lunet on Linux.

mod executor;
mod time_driver;

pub use executor::block_on;
