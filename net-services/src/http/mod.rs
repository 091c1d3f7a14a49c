//! HTTP/1.1.

pub mod body;
mod control;
pub mod date;
pub mod fields;
pub mod head;
mod method;
pub mod response_head;
mod status;
mod target;

pub use body::Framing;
pub use fields::Fields;
pub use head::{Head, Limits, Refusal, Scanner};
pub use method::{Method, Methods};
pub use status::Status;
