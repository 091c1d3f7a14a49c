//! WebSockets (RFC 6455), the server's side.

mod close;
mod config;
mod decoder;
mod frame;
mod handshake;
mod keep_alive;
mod message;
mod socket;
#[cfg(test)]
mod tests;

pub use close::CloseCode;
pub use config::{Config, Origins};
pub use decoder::{Decoded, Decoder, Event, Violation};
pub use message::Message;
pub use socket::WebSocket;
