//! Project tasks: set up, build, serve and test, from a machine that has only Rust and Node.
fn main() {}
