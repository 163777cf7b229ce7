//! The fuzz targets of the rule engine without a fuzzer: their seeds, and thousands of texts made of these by chance.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

#[path = "../../fuzz/fuzz_targets/common.rs"]
mod common;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the seeds")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| fs::read(path).expect("a readable seed"))
        .collect()
}

/// Changes of a text: bytes overwritten, parts left out, repeated or put elsewhere. The same at each run.
fn mutate(seed: &[u8], changes: &[(usize, usize, usize, u8)]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (from, length, to, byte) in changes {
        let start = from % (bytes.len() + 1);
        let part = bytes[start..(start + length % 24).min(bytes.len())].to_vec();
        match byte % 4 {
            0 => bytes.splice(start..start, [*byte]).for_each(drop),
            1 => bytes.drain(start..start + part.len()).for_each(drop),
            2 => bytes.splice(start..start + part.len().min(1), [*byte]).for_each(drop),
            _ => {
                let at = to % (bytes.len() + 1);
                bytes.splice(at..at, part).for_each(drop);
            }
        }
    }
    bytes
}

fn run(target: &str, cases: usize, body: fn(&[u8])) {
    let mut runner = TestRunner::deterministic();
    let change = (0..4_096_usize, 0..4_096_usize, 0..4_096_usize, any::<u8>());
    let changes = prop::collection::vec(change, 1..8);
    for seed in seeds(target) {
        body(&seed);
        for _ in 0..cases {
            let changes = changes.new_tree(&mut runner).expect("changes").current();
            body(&mutate(&seed, &changes));
        }
    }
}

/// As a fuzzer that makes texts would give it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn no_mutated_rule_file_breaks_the_reader() {
    run("rule_file", 1_000, |bytes| common::run_rule_file(&text(bytes)));
}

#[test]
fn no_mutated_eql_breaks_the_reader_or_the_engine() {
    run("eql", 1_000, |bytes| common::run_query("eql", &text(bytes)));
}

#[test]
fn no_mutated_kql_breaks_the_reader_or_the_engine() {
    run("kql", 150, |bytes| common::run_query("query", &text(bytes)));
}

#[test]
fn no_mutated_document_breaks_the_record_or_is_written_differently() {
    run("document", 2_000, common::run_document);
}
