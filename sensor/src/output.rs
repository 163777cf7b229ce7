//! Where alerts leave the program.
pub mod escape;
pub mod text;
