//! What must hold (M-1 to M-45), in virtual time.

mod conflicts;
mod crowd;
mod hostile;
mod life;
mod link;
mod mutated;
mod responder_claims;
