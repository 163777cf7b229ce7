//! A rule file of any bytes: a report, never a panic; what is `ok` compiles and its examples run.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|text: &str| common::run_rule_file(text));
