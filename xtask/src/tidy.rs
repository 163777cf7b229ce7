//! What neither compiler nor clippy looks for: imports between rooms, overlong files, `mod.rs`, public items without a
//! comment, paths that lead nowhere, left-overs, ignored tests, and programs that the verifier has far more work with
//! than is recorded, as measured last on this machine.
//!
//! It runs as a test of this crate, so `cargo test` and CI see it.

mod documented;
mod modules;
mod paths;
mod rooms;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::command::{output_of, repository};

/// A file is one concept that can be read in one go.
const MAX_LINES: usize = 500;

/// The document that says where things are.
const MAP: &str = "ARCHITECTURE.md";

/// Cut in two so that this file does not find itself.
const LEFT_OVERS: [&str; 6] = [
    concat!("#[ig", "nore"),
    concat!("todo", "!("),
    concat!("unimple", "mented!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// Endings of the files that are ours to keep tidy.
const SOURCE_ENDINGS: [&str; 4] = [".rs", ".toml", ".sh", ".md"];

/// Prints the findings.
pub(crate) fn run() -> Result<ExitCode> {
    let findings = findings(&repository())?;
    for finding in &findings {
        println!("{finding}");
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One line a finding: `path:line: what`.
fn findings(repository: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let files = tracked_files(repository)?;
    let map = fs::read_to_string(repository.join(MAP)).with_context(|| format!("could not read `{MAP}`"))?;
    findings.extend(paths::findings(MAP, &map, &files));
    for path in files {
        if path.ends_with("/mod.rs") {
            findings.push(format!(
                "{path}: a module's file stands beside its folder and bears its name"
            ));
        }
        if !SOURCE_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
            continue;
        }
        let file = repository.join(&path);
        let text = fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))?;
        findings.extend(findings_in(&path, &text));
        if path.ends_with(".rs") && path.contains("/src/") {
            findings.extend(documented::findings(&path, &text)?);
        }
    }
    findings.extend(rooms::findings(repository)?);
    Ok(findings)
}

/// Tracked and new files that are still there.
fn tracked_files(repository: &Path) -> Result<Vec<String>> {
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let names = output_of(Command::new("git").current_dir(repository).args(listing))?;
    let names = names.split_terminator('\0');
    Ok(names
        .filter(|name| repository.join(name).is_file())
        .map(str::to_owned)
        .collect())
}

fn findings_in(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if path.ends_with(".rs") && lines > MAX_LINES {
        findings.push(format!(
            "{path}: {lines} lines; split it by concept (the limit is {MAX_LINES})"
        ));
    }
    // What others include cannot have one.
    let is_module = path.ends_with(".rs") && !path.ends_with("/tests.rs") && !path.contains("/data/");
    if is_module && !text.starts_with("//!") {
        findings.push(format!(
            "{path}:1: begins without `//!` (what for, where in the flow, what always holds)"
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        for left_over in LEFT_OVERS.iter().filter(|left_over| line.contains(**left_over)) {
            findings.push(format!("{path}:{number}: `{left_over}` is left over"));
        }
        if line.ends_with([' ', '\t']) && !path.ends_with(".md") {
            findings.push(format!("{path}:{number}: blanks at the end of the line"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINES, findings, findings_in};
    use crate::command::repository;

    #[test]
    fn the_tree_is_tidy() {
        let findings = findings(&repository()).unwrap();
        assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
    }

    #[test]
    fn an_overlong_file_is_found() {
        let text = format!("//! Long.\n{}", "fn f() {}\n".repeat(MAX_LINES));
        assert_eq!(findings_in("a.rs", &text).len(), 1);
    }

    #[test]
    fn a_left_over_is_found_with_its_line() {
        let text = concat!("//! Module.\n#[ig", "nore]\nfn f() {}\n");
        assert!(findings_in("a.rs", text)[0].starts_with("a.rs:2: "));
    }

    #[test]
    fn a_module_without_its_own_description_is_found() {
        assert!(findings_in("a.rs", "fn f() {}\n")[0].starts_with("a.rs:1: "));
    }
}
