//! That the paths which a document names exist: a map that is out of date leads astray.

use std::iter;

/// Endings of files that a document may name by the end of their path.
const FILE_ENDINGS: [&str; 6] = [".md", ".rs", ".sh", ".toml", ".tsv", ".txt"];

/// A finding for each path in backticks that no file of the repository has or is below. A path begins with a folder of
/// the repository or ends as a file does; `{one,two}` stands for either, and `*` at its end for anything.
pub(crate) fn findings(document: &str, text: &str, files: &[String]) -> Vec<String> {
    let folders: Vec<&str> = files.iter().filter_map(|file| Some(file.split_once('/')?.0)).collect();
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // Every other piece stands in backticks.
        for named in line.split('`').skip(1).step_by(2) {
            for path in expanded(named) {
                let first = path.split('/').next().unwrap_or_default();
                let is_path = path.contains('/') && folders.contains(&first);
                let is_file =
                    FILE_ENDINGS.iter().any(|ending| path.ends_with(ending)) && !path.contains([' ', ':', '<']);
                if (is_path || is_file && !path.starts_with('/')) && !exists(&path, files) {
                    findings.push(format!("{document}:{number}: `{path}` does not exist"));
                }
            }
        }
    }
    findings
}

fn exists(path: &str, files: &[String]) -> bool {
    match path.strip_suffix('*') {
        Some(beginning) => files.iter().any(|file| file.starts_with(beginning)),
        None => {
            let folder = format!("{}/", path.trim_end_matches('/'));
            let end = format!("/{path}");
            files
                .iter()
                .any(|file| file == path || file.starts_with(&folder) || file.ends_with(&end))
        }
    }
}

/// All that `{one,two}` in a path stands for.
fn expanded(named: &str) -> Vec<String> {
    match named
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        Some((before, (choices, after))) => {
            let each = choices
                .split(',')
                .map(|choice| format!("{before}{}{after}", choice.trim()));
            each.flat_map(|path| expanded(&path)).collect()
        }
        None => iter::once(named.to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::findings;

    #[test]
    fn a_path_that_does_not_exist_is_found_with_its_line() {
        let files = [
            "dev",
            "engine/src/run.rs",
            "engine/src/run/state.rs",
            "engine/Cargo.toml",
        ]
        .map(str::to_owned);
        let right = "`dev`, `engine/`, `engine/src/{run,run/state}.rs`, `engine/src/r*`, `run/state.rs`, `/proc/PID/exe`,\n\
                     `process.args`, `engine::run`, `a/b`";
        assert_eq!(findings("MAP.md", right, &files), [""; 0]);
        for wrong in ["engine/src/{run,walk}.rs", "engine/source/", "engine/src/x*", "walk.rs"] {
            let found = findings("MAP.md", &format!("First.\n`{wrong}`"), &files);
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
            assert!(found[0].starts_with("MAP.md:2: `"), "{found:?}");
        }
    }
}
