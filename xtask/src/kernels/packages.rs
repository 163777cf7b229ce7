//! Fetches kernels from Debian's archives. Nothing is installed; the image is unpacked and kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt::{Apt, Contents};
use crate::architecture::Architecture;

/// Where in Debian's archives a kernel is.
pub(crate) struct Source {
    pub architecture: &'static Architecture,
    /// The archive's label in its release files.
    pub archive: &'static str,
    pub suite: &'static str,
    /// The package that depends on the suite's current kernel.
    pub metapackage: &'static str,
}

/// A kernel that can be booted.
pub(crate) struct Image {
    pub architecture: &'static Architecture,
    pub file: PathBuf,
    /// Its full version, as `uname -r` gives it.
    pub release: String,
}

/// The image in `folder`; fetched if it is not there yet.
pub(crate) fn fetch(source: &Source, folder: &Path) -> Result<Image> {
    let file = folder.join("vmlinuz");
    let release_file = folder.join("release");
    if let Ok(release) = fs::read_to_string(&release_file)
        && file.is_file()
    {
        return Ok(Image {
            architecture: source.architecture,
            file,
            release,
        });
    }
    eprintln!("xtask: fetching the kernel of {}", source.suite);
    let apt = Apt::prepare(
        Contents::Programs,
        source.architecture,
        source.archive,
        source.suite,
        folder.join("apt"),
    )?;
    let dependencies = apt.ask(&["depends", source.metapackage])?;
    let release = dependencies
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
        .with_context(|| format!("`{}` depends on no kernel", source.metapackage))?
        .to_owned();
    // From 7.2 on the image has a package of its own, and another place in it.
    let split = format!("linux-binary-{release}");
    let package = match apt.ask(&["show", &split]) {
        Ok(_) => split,
        Err(_) => format!("linux-image-{release}"),
    };
    let unpacked = apt.unpack(&package)?;
    let image = [
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ]
    .into_iter()
    .map(|path| unpacked.join(path))
    .find(|path| path.is_file())
    .with_context(|| format!("the package `{package}` holds no kernel image"))?;
    fs::rename(image, &file)?;
    apt.remove()?;
    fs::write(release_file, &release)?;
    Ok(Image {
        architecture: source.architecture,
        file,
        release,
    })
}
