//! What is being asked.

/// A question: what is known of it beside its name.
#[derive(Debug)]
pub(super) struct Entry {}
