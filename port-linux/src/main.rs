//! The program `lunet`.
fn main() {}
