//! HTTP.

pub mod broadcast;
pub mod websocket;
