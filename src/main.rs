//! The `veritape` command.

fn main() {}
