//! The network stack.
