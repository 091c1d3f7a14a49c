//! lunet on Linux: a computer as a device that Lua scripts drive.
//!
//! The program `lunet` is [`main`]. Beside it, for programs and tests of one's own:
//!
//! - [`block_on`]: an executor with sockets (tokio's) and `embassy-time` timers, on one thread;
//! - networks: [`host`] has the traits of [`net_core::nal`] over the computer's own sockets, [`tap`] and [`user`] are
//!   drivers for [`net_core::stack`], and [`pcap`] captures what goes through a driver;
//! - for a web server: a [`Directory`] of files for [`Site`](net_services::http::files::Site), and the [`SystemClock`].
//!
//! Everything here is for one thread; a program may have several, each with a `block_on` of its own.

mod access_log;
mod adapter;
mod args;
mod clock;
mod console;
mod device;
mod directory;
mod executor;
mod files;
pub mod host;
mod mac;
mod mdns;
mod netlink;
pub mod pcap;
mod ports;
mod program;
mod prompt;
mod routes;
mod serve;
mod signals;
mod store;
pub mod tap;
#[cfg(test)]
mod testing;
mod time_driver;
pub mod user;

pub use clock::SystemClock;
pub use directory::{Directory, DirectoryEntries, DirectoryFile};
pub use executor::block_on;
pub use mac::Mac;
pub use program::main;
