//! Manual pages and completions, which the command line's own definition gives: an example program of the sensor writes
//! them, so that the sensor is without what makes them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::archive::{Files, gzip};
use crate::command::{cargo, run};

/// The files that are installed.
pub(crate) fn build(folder: &Path) -> Result<Files> {
    let written = folder.join("command-line");
    if written.exists() {
        fs::remove_dir_all(&written)?;
    }
    fs::create_dir_all(&written)?;
    run(cargo()
        .args([
            "run",
            "--quiet",
            "--package",
            "sensor",
            "--example",
            "command_line",
            "--",
        ])
        .arg(&written))?;
    let mut files = Files::default();
    for entry in fs::read_dir(&written)? {
        let file = entry?.path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .context("a file without a name")?;
        let bytes = fs::read(&file)?;
        match place(name) {
            Some(place) => files.add(&place, 0o644, bytes),
            None => files.add(&format!("usr/share/man/man1/{name}.gz"), 0o644, gzip(&bytes)?),
        }
    }
    fs::remove_dir_all(&written)?;
    Ok(files)
}

/// Where a shell looks for its completions; `None` is a manual page.
fn place(name: &str) -> Option<String> {
    match name {
        "tidewaiter.bash" => Some("usr/share/bash-completion/completions/tidewaiter".to_owned()),
        "tidewaiter.fish" => Some("usr/share/fish/vendor_completions.d/tidewaiter.fish".to_owned()),
        "_tidewaiter" => Some("usr/share/zsh/vendor-completions/_tidewaiter".to_owned()),
        _ => None,
    }
}
