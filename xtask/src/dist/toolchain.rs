//! What the binary is linked with beside Rust's own library, from Debian's packages: the C library musl (MIT), and
//! LLVM's unwinder (Apache 2.0 with the LLVM exception). Nothing is installed; both are unpacked below `target/dist`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{Apt, Contents};
use crate::architecture::Architecture;
use crate::ebpf_toolchain::find_compiler;

const ARCHIVE: &str = "Debian";
const SUITE: &str = "bookworm";

/// Debian's packages, with the licence that is theirs as far as they are linked.
const PACKAGES: [(&str, &str); 2] = [
    ("libunwind-14-dev", "Apache-2.0 WITH LLVM-exception"),
    ("musl-dev", "MIT"),
];

/// Whose names are the same in all packages. `crt1.o` begins a program for which Rust makes no position-independent
/// static one (arm64), `rcrt1.o` others.
const OBJECTS: [&str; 6] = ["crt1.o", "rcrt1.o", "crti.o", "crtn.o", "libc.a", "libunwind.a"];

/// Where the libraries of one processor are.
pub(crate) struct Toolchain {
    pub folder: PathBuf,
}

/// A library that is linked and no crate.
pub(crate) struct Library {
    pub name: String,
    pub version: String,
    pub licence: &'static str,
    /// Its text, and whose it is.
    pub copyright: String,
}

/// The libraries, fetched if they are not there yet.
pub(crate) fn provide(architecture: &Architecture, folder: &Path) -> Result<Toolchain> {
    let libraries = folder.join(format!("libraries-{}", architecture.name));
    if libraries.is_dir() {
        return Ok(Toolchain { folder: libraries });
    }
    eprintln!(
        "xtask: fetching the C library and the unwinder for {}",
        architecture.name
    );
    let unfinished = folder.join("libraries.unfinished");
    fs::create_dir_all(&unfinished)?;
    let apt = Apt::prepare(Contents::Programs, architecture, ARCHIVE, SUITE, folder.join("apt"))?;
    for (package, _) in PACKAGES {
        let unpacked = apt.unpack(package)?;
        let copyright = unpacked.join("usr/share/doc").join(package).join("copyright");
        fs::copy(copyright, unfinished.join(format!("{package}.copyright")))?;
        let about = apt.ask(&["show", package])?;
        let version = about.lines().find_map(|line| line.strip_prefix("Version: "));
        let version = version.with_context(|| format!("`{package}` has no version"))?;
        fs::write(unfinished.join(format!("{package}.version")), version)?;
        for place in [
            format!("usr/lib/{}-linux-musl", architecture.name),
            "usr/lib/llvm-14/lib".to_owned(),
        ] {
            for object in OBJECTS {
                let file = unpacked.join(&place).join(object);
                if file.is_file() {
                    fs::copy(file, unfinished.join(object))?;
                }
            }
        }
    }
    apt.remove()?;
    for object in OBJECTS {
        ensure!(
            unfinished.join(object).is_file(),
            "Debian's packages hold no `{object}`"
        );
    }
    fs::rename(&unfinished, &libraries)?;
    Ok(Toolchain { folder: libraries })
}

impl Toolchain {
    /// What is linked from here, and Rust's own library.
    pub(crate) fn libraries(&self) -> Result<Vec<Library>> {
        let compiler = find_compiler().context("the compiler with its library's source cannot be found")?;
        let output = Command::new(&compiler.rustc).arg("--version").output()?;
        let version = String::from_utf8(output.stdout)?;
        let version = version.split(' ').nth(1).context("the compiler says no version")?;
        let rust = Library {
            name: "rust-standard-library".to_owned(),
            version: version.trim_end().to_owned(),
            licence: "MIT OR Apache-2.0",
            copyright: "Copyright (c) The Rust Project Contributors".to_owned(),
        };
        let packages = PACKAGES.map(|(package, licence)| {
            let read = |kind: &str| fs::read_to_string(self.folder.join(format!("{package}.{kind}")));
            Ok(Library {
                name: package.trim_end_matches("-dev").to_owned(),
                version: read("version")?,
                licence,
                copyright: read("copyright")?.trim().to_owned(),
            })
        });
        packages.into_iter().chain([Ok(rust)]).collect()
    }
}
