//! The history cannot be read or written.
