//! The resolver.
