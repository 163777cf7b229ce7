//! Stands in for any program whose name and arguments are all that a test needs: it ends at once, successfully.

fn main() {}
