//! Any text as the KQL of a rule: a report, never a panic; what is `ok` runs over an event.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|query: &str| common::run_query("query", query));
