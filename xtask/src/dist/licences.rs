//! The licences of all that is linked, as one text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::dependencies::Dependency;
use super::toolchain::Library;
use crate::command::repository;

/// How the names of files with licences begin, in capitals.
const NAMES: [&str; 6] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE", "UNLICENSE"];

const RULE: &str = "----------------------------------------------------------------------------------------";

/// Who is under which licence, and each text once, with whose it is. What comes without a text of its own is under one
/// that others have too: it names it.
pub(crate) fn build(libraries: &[Library], dependencies: &[Dependency]) -> Result<String> {
    let mut list =
        "Tidewaiter is under MIT or Apache-2.0, at your choice. Its binary holds what follows.\n\n".to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for library in libraries {
        let id = format!("{} {}", library.name, library.version);
        let _ = writeln!(list, "{id}: {}", library.licence);
        texts.entry(library.copyright.clone()).or_default().push(id);
    }
    for dependency in dependencies {
        let id = format!("{} {}", dependency.name, dependency.version);
        let _ = writeln!(list, "{id}: {}", dependency.licence);
        for file in files_of(&dependency.folder)? {
            texts.entry(read(&file)?).or_default().push(id.clone());
        }
    }
    // Of crates that leave them out.
    for (file, licence) in [("LICENSE-APACHE", "Apache-2.0"), ("LICENSE-MIT", "MIT")] {
        let text = read(&repository().join(file))?;
        texts.entry(text).or_default().push(format!("tidewaiter, as {licence}"));
    }
    let mut by_owner: Vec<(String, String)> = texts.into_iter().map(|(text, ids)| (ids.join(", "), text)).collect();
    by_owner.sort();
    for (owners, text) in by_owner {
        let _ = write!(list, "\n{RULE}\n{owners}\n{RULE}\n\n{text}\n");
    }
    Ok(list)
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    let is_licence = |file: &PathBuf| {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_uppercase();
        file.is_file() && NAMES.iter().any(|beginning| name.starts_with(beginning))
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_licence)
        .collect();
    files.sort();
    Ok(files)
}

/// Without blanks at the ends of lines, in which texts that are else the same differ.
fn read(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("could not read `{}`", file.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    Ok(lines.join("\n"))
}
