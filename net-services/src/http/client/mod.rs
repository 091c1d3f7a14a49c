//! An HTTP/1.1 client.

mod config;
mod connect;
mod error;
mod exchange;
mod head;
mod http_client;
mod incoming;
mod redirect;
mod request;
mod response;
mod times;
mod url;
mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::ClientConfig;
pub use error::{ClientError, Timeout};
pub use http_client::{Client, ClientStats};
pub use request::ClientRequest;
pub use response::ClientResponse;
