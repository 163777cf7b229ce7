//! The static binary. Rust's own library is built with it, from the compiler's sources, because no package has it for
//! musl.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::toolchain::Toolchain;
use crate::architecture::Architecture;
use crate::command::{self, repository, target_folder};
use crate::ebpf_toolchain::{Compiler, find_compiler};

/// What would turn the build into something else.
const NOT_INHERITED: [&str; 6] = [
    "CARGO_BUILD_TARGET",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "LD_LIBRARY_PATH",
];

/// Builds the binary; gives its file.
pub(crate) fn build(architecture: &Architecture, toolchain: &Toolchain) -> Result<PathBuf> {
    build_in(&target_folder(), architecture, toolchain)
}

/// Builds the binary from nothing in another folder, and compares.
pub(crate) fn build_again(architecture: &Architecture, toolchain: &Toolchain, first: &Path) -> Result<()> {
    let folder = target_folder().join("dist/again");
    let again = build_in(&folder, architecture, toolchain)?;
    ensure!(
        fs::read(first)? == fs::read(&again)?,
        "`{}` and `{}` are of the same sources, and differ",
        first.display(),
        again.display()
    );
    fs::remove_dir_all(&folder).with_context(|| format!("could not remove `{}`", folder.display()))
}

fn build_in(folder: &Path, architecture: &Architecture, toolchain: &Toolchain) -> Result<PathBuf> {
    let compiler = find_compiler().context("the compiler with its library's source cannot be found")?;
    let mut cargo = Command::new(&compiler.cargo);
    for variable in NOT_INHERITED {
        cargo.env_remove(variable);
    }
    cargo
        .current_dir(repository())
        .args(["build", "--locked", "--release", "--package", "sensor"])
        .args(["--target", architecture.target, "-Zbuild-std=std,panic_unwind"])
        .arg("--target-dir")
        .arg(folder)
        .env("RUSTC", &compiler.rustc)
        // `-Z build-std` is an unstable feature of whichever compiler this is.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(&compiler, architecture, toolchain).join(&OsString::from("\x1f")),
        );
    command::run(&mut cargo)?;
    Ok(folder.join(architecture.target).join("release/tidewaiter"))
}

fn flags(compiler: &Compiler, architecture: &Architecture, toolchain: &Toolchain) -> Vec<OsString> {
    let with_path = |prefix: &str, path: &Path| {
        let mut flag = OsString::from(prefix);
        flag.push(path);
        flag
    };
    let mut flags = vec![
        format!("-Clinker={}", architecture.compiler).into(),
        // The objects that a program begins and ends with are those of this C library, not those of the compiler's.
        "-Clink-self-contained=no".into(),
        with_path("-Clink-arg=-B", &toolchain.folder),
        with_path("-Lnative=", &toolchain.folder),
        // The unwinder was compiled for the other C library, and says something with this before it aborts.
        "-Clink-arg=-Wl,--defsym=__fprintf_chk=abort".into(),
        "-Cstrip=symbols".into(),
    ];
    flags.extend(compiler.path_flags(&repository()));
    flags
}
