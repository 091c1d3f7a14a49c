//! What this device publishes.

/// A service or a delegated host.
#[derive(Debug)]
pub(super) struct Entry {}
