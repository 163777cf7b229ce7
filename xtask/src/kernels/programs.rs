//! What a virtual machine needs beside the sensor: busybox, runc and chrt, with their libraries. Those of this machine
//! for its own processor; for another one Debian's packages, which are unpacked and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Apt, Contents};
use crate::architecture::Architecture;
use crate::ebpf_toolchain::find_program;
use crate::setup::ADMINISTRATION_PROGRAMS;

/// Where they are.
pub(crate) struct Programs {
    pub busybox: PathBuf,
    pub runc: PathBuf,
    pub chrt: PathBuf,
    /// With the place of each in the virtual machine, relative to its root.
    pub libraries: Vec<(PathBuf, PathBuf)>,
}

const ARCHIVE: &str = "Debian";
const SUITE: &str = "bookworm";
const PACKAGES: [&str; 5] = ["busybox-static", "libc6", "libseccomp2", "runc", "util-linux"];

/// By their folder, which is another for each processor.
const LIBRARIES: [(&str, &str); 2] = [("lib", "libc.so.6"), ("usr/lib", "libseccomp.so.2")];

impl Programs {
    /// Those of this machine, with the libraries of the sensor too.
    pub(crate) fn of_this_machine(sensor: &Path) -> Result<Self> {
        let busybox = find_program("busybox", []).context("busybox is not installed")?;
        let runc = find_program("runc", [ADMINISTRATION_PROGRAMS.into()]).context("runc is not installed")?;
        let chrt = find_program("chrt", []).context("chrt, of util-linux, is not installed")?;
        let mut libraries = Vec::new();
        for library in [needed(sensor)?, needed(&runc)?, needed(&chrt)?].concat() {
            let place = library.strip_prefix("/")?.to_owned();
            libraries.push((library, place));
        }
        Ok(Self {
            busybox,
            runc,
            chrt,
            libraries,
        })
    }

    /// Debian's, kept in `folder`; fetched if they are not there yet.
    pub(crate) fn of_debian(architecture: &Architecture, folder: &Path) -> Result<Self> {
        let root = folder.join("programs");
        if !root.is_dir() {
            eprintln!("xtask: fetching programs for {}", architecture.name);
            fs::create_dir_all(folder).with_context(|| format!("could not create `{}`", folder.display()))?;
            let apt = Apt::prepare(Contents::Programs, architecture, ARCHIVE, SUITE, folder.join("apt"))?;
            let mut unpacked = PathBuf::new();
            for package in PACKAGES {
                unpacked = apt.unpack(package)?;
            }
            fs::rename(unpacked, &root)?;
            apt.remove()?;
        }
        let triple = format!("{}-linux-gnu", architecture.name);
        let loader = architecture.loader;
        let mut libraries = vec![(
            root.join("lib").join(&triple).join(loader),
            Path::new("lib").join(loader),
        )];
        for (folder, name) in LIBRARIES {
            let place = Path::new(folder).join(&triple).join(name);
            libraries.push((root.join(&place), place));
        }
        for (library, _) in &libraries {
            ensure!(library.is_file(), "Debian's packages hold no `{}`", library.display());
        }
        Ok(Self {
            busybox: root.join("bin/busybox"),
            runc: root.join("usr/sbin/runc"),
            chrt: root.join("usr/bin/chrt"),
            libraries,
        })
    }
}

/// The loader and the shared libraries of a program.
fn needed(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("could not start `ldd`")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.split_whitespace();
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
