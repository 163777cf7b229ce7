//! What the end-to-end tests are made of: the real binary, a Docker engine of the test's own, images made on the
//! spot, terminals, and waiting that ends when the thing happens.
//!
//! Nothing here sleeps before it looks: whatever is awaited is awaited with a deadline, and what must not happen is
//! checked with a fence, a known event that comes after it.

pub mod attack;
pub mod cgroup;
pub mod cluster;
pub mod containerd;
pub mod cri;
pub mod document;
pub mod engine;
pub mod hostile_engine;
pub mod image;
pub mod intruder;
pub mod lines;
pub mod lives;
pub mod namespaces;
pub mod podman;
pub mod program;
pub mod sensor;
pub mod terminal;

use std::path::PathBuf;

/// Says that a test cannot run here; `xtask test` collects these lines.
pub fn skipped(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
}

/// The two reference rules, which are not part of this project: beside the repository or where the variable says.
pub fn reference_rules() -> Option<PathBuf> {
    let folder = match std::env::var_os("TIDEWAITER_ELASTIC_RULES") {
        Some(folder) => PathBuf::from(folder),
        None => program::repository().join("../shared/elastic-rules"),
    };
    Some(folder.join("reference")).filter(|folder| folder.is_dir())
}
