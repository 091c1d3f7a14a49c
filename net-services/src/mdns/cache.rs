//! What others have told.

/// A record: what is known of it beside its bytes.
#[derive(Debug)]
pub(super) struct Entry {}
