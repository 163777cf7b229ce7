//! Any JSON document as an event: it is read without a panic, and what was read survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|bytes: &[u8]| common::run_document(bytes));
