//! Any JSON document as an event: it is read without a panic, and what was read survives being written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rule_engine::record::{DocumentCounts, Record};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = serde_json::from_slice(bytes) else {
        return;
    };
    let mut record = Record::new();
    record.fill_from_document(&document);
    let written = record.to_document();
    let mut again = Record::new();
    assert_eq!(again.fill_from_document(&written), DocumentCounts::default());
    assert_eq!(again.to_document(), written);
});
