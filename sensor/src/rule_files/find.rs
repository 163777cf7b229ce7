//! Which files hold rules, and their text.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rule_engine::SchemaError;

/// Directories inside one another that are searched.
const MAX_DEPTH: usize = 16;
/// Rule files that are read from one path.
const MAX_FILES: usize = 20_000;
/// A rule file longer than this is not read; the rule engine's own limits are lower.
pub(crate) const MAX_FILE_BYTES: u64 = 17 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleFilesError {
    #[error("cannot read the rules path `{path}`")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("there is no rule in `{path}`: no file in it ends in `.toml` or `.ndjson`")]
    NoRules { path: PathBuf },
    #[error("`{path}` holds more than {MAX_FILES} rule files, or is more than {MAX_DEPTH} directories deep")]
    TooMuch { path: PathBuf },
    #[error("no rule is left to run; `tidewaiter rules check` shows what is wrong with those that there are")]
    NoneRuns,
    #[error("there is no rule to run: `stock_rules` is off and no path is given")]
    NoneConfigured,
    #[error("`[schema]` of the configuration declares a field that cannot be")]
    OwnField(#[source] SchemaError),
}

/// Whether the path is not there, or is a directory without a rule file.
pub(crate) fn holds_no_rule(path: &Path) -> bool {
    match files_below(path) {
        Err(RuleFilesError::NoRules { .. }) => true,
        Err(RuleFilesError::Unreadable { source, .. }) => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The path itself if it is a file, else the rule files of the directory in the order of their paths.
pub(crate) fn files_below(path: &Path) -> Result<Vec<PathBuf>, RuleFilesError> {
    let Below { mut files, .. } = below(path)?;
    if files.is_empty() {
        return Err(RuleFilesError::NoRules { path: path.to_owned() });
    }
    files.sort_unstable();
    Ok(files)
}

/// The directories that are searched for rule files; none if the path is no directory.
pub(crate) fn folders_below(path: &Path) -> Vec<PathBuf> {
    below(path).map(|below| below.folders).unwrap_or_default()
}

/// What is searched and found.
#[derive(Default)]
struct Below {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

fn below(path: &Path) -> Result<Below, RuleFilesError> {
    let unreadable = |source| RuleFilesError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut found = Below::default();
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        found.files.push(path.to_owned());
        return Ok(found);
    }
    let mut directories = vec![(path.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?.path();
            let is_hidden = entry
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            // Links are followed: mounted configuration is often made of them.
            if is_hidden {
                continue;
            }
            let Ok(metadata) = fs::metadata(&entry) else {
                // Reading it will say why not: a link into nothing may have been a rule, or a directory of them.
                if fs::symlink_metadata(&entry).is_ok() {
                    found.files.push(entry);
                }
                continue;
            };
            let is_rule = entry
                .extension()
                .is_some_and(|extension| extension == "toml" || extension == "ndjson");
            if metadata.is_dir() {
                directories.push((entry, depth + 1));
            } else if metadata.is_file() && is_rule {
                found.files.push(entry);
            }
        }
        found.folders.push(directory);
        if depth > MAX_DEPTH || found.files.len() > MAX_FILES {
            return Err(RuleFilesError::TooMuch { path: path.to_owned() });
        }
    }
    Ok(found)
}

pub(crate) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}
