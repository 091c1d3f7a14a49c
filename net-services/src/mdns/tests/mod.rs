//! Tests of the whole engine.

#![allow(clippy::indexing_slicing)] // helpers of tests are tests

mod conflicts;
mod crowd;
mod hostile;
mod life;
mod link;
mod mutated;
