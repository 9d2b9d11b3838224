//! The command `para`.
fn main() {}
