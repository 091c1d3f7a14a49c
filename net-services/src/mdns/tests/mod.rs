//! What must hold (M-1 to M-45), in virtual time.

mod responder_claims;
