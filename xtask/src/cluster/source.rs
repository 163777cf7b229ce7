//! Kubernetes' source as Debian 12 has it, the last one in Debian that holds more than `kubectl`, made fit for this Go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::{Apt, Contents};
use crate::architecture::X86_64;
use crate::setup::REFLECT2;

const ARCHIVE: &str = "Debian";
const SUITE: &str = "bookworm";
const PACKAGE: &str = "kubernetes";

/// The source, and what is known of it.
pub(crate) struct Source {
    /// Of the package.
    pub version: String,
    /// Its own version: the part behind `really`, without Debian's.
    pub release: String,
    /// The root of Go's tree of sources.
    pub root: PathBuf,
    pub folder: PathBuf,
}

/// Fetches it below `folder`.
pub(crate) fn fetch(folder: &Path) -> Result<Source> {
    eprintln!("xtask: fetching the source of Kubernetes");
    let apt = Apt::prepare(Contents::Source, &X86_64, ARCHIVE, SUITE, folder.join("apt"))?;
    let (version, unpacked) = apt.unpack_source(PACKAGE)?;
    let release = version
        .rsplit_once("really")
        .map_or(version.as_str(), |(_, release)| release)
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    let root = folder.join("go");
    let source = Source {
        version,
        release,
        // Go takes no link for it.
        folder: root.join("src/k8s.io/kubernetes"),
        root,
    };
    fs::create_dir_all(source.root.join("src/k8s.io"))?;
    fs::rename(&unpacked, &source.folder).context("could not move the source")?;
    apt.remove()?;
    replace_reflect2(&source.folder)?;
    Ok(source)
}

/// The copy in the source looks into maps as Go's runtime had them before 1.18, and crashes with later ones.
fn replace_reflect2(source: &Path) -> Result<()> {
    let copy = source.join("vendor/github.com/modern-go/reflect2");
    for file in code(&copy)? {
        fs::remove_file(file)?;
    }
    for file in code(Path::new(REFLECT2))? {
        let name = file.file_name().context("a file has no name")?;
        fs::copy(&file, copy.join(name))?;
    }
    Ok(())
}

/// What Go compiles of a folder.
fn code(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let is_code = |path: &PathBuf| {
        let is_test = path.to_string_lossy().ends_with("_test.go");
        !is_test && path.extension().is_some_and(|suffix| suffix == "go" || suffix == "s")
    };
    Ok(paths.filter(is_code).collect())
}
