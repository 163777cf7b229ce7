//! Paths as `/proc` shows them: in the root of a mount namespace, whatever root the process has.

use std::path::PathBuf;

use procfs::ProcResult;

/// What a link of `/proc` leads to; empty if it cannot be read.
pub(super) fn link_text(path: ProcResult<PathBuf>) -> String {
    let path = path.unwrap_or_default().to_string_lossy().into_owned();
    match path.strip_suffix(" (deleted)") {
        Some(path) => path.to_owned(),
        None => path,
    }
}

/// The path as it is below `root`, and whether it is there; the root of the mount namespace is empty.
pub(super) fn below(root: &str, path: String) -> (String, bool) {
    match path.strip_prefix(root) {
        Some("") if !root.is_empty() => ("/".to_owned(), true),
        Some(below) if below.starts_with('/') => (below.to_owned(), true),
        _ => (path, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_below_the_root_of_its_process_where_it_is_there() {
        for (root, path, expected) in [
            ("", "/usr/bin/id", ("/usr/bin/id", true)),
            ("", "/", ("/", true)),
            ("", "", ("", false)),
            ("/dev/r", "/dev/r/bin/id", ("/bin/id", true)),
            ("/dev/r", "/dev/r", ("/", true)),
            ("/dev/r", "/dev/rest/bin/id", ("/dev/rest/bin/id", false)),
            ("/dev/r", "/usr/bin/id", ("/usr/bin/id", false)),
        ] {
            assert_eq!(below(root, path.to_owned()), (expected.0.to_owned(), expected.1));
        }
    }
}
