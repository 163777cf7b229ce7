//! Where Elastic's own rule files are, for the tests that read them.

use std::path::{Path, PathBuf};

use rule_engine::{ParseOptions, Producer, Schema};

include!("../data/options.rs");

/// The directory of the files, or a visible note that the test has nothing to look at.
pub(crate) fn corpus(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/elastic-rules");
    let directory = std::env::var_os("TIDEWAITER_ELASTIC_RULES").map_or(beside, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    // `./dev test` shows and counts these lines; so does `cargo test -- --show-output`.
    eprintln!("SKIPPED {test}: `{}` is not there", directory.display());
    None
}
