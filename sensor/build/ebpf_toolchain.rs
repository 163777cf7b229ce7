//! Finds what the kernel side is built with: a Rust compiler that has the library's source, and `bpf-linker`.
//!
//! Included by `sensor/build.rs`, which builds with what is found, and by `xtask`, which installs what is missing,
//! so that both always look in the same places.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A compiler and its cargo from one sysroot that also holds the source of `core`, which has no prebuilt form for
/// eBPF.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub rustc: PathBuf,
    pub cargo: PathBuf,
}

/// The active compiler if it has the source, else rustup's nightly, else the distribution's.
pub(crate) fn find_compiler() -> Option<Compiler> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    [
        sysroot_of(Command::new(rustc)),
        sysroot_of(rustup_nightly()),
        Some(PathBuf::from("/usr")),
    ]
    .into_iter()
    .flatten()
    .find_map(|sysroot| compiler_in(&sysroot))
}

impl Compiler {
    /// Flags that have it name its sources, cargo's and the repository's by where they are in these, not on this
    /// machine.
    pub(crate) fn path_flags(&self, repository: &Path) -> Vec<OsString> {
        let sysroot = self.rustc.ancestors().nth(2);
        let cargo_home = cargo_home();
        let folders = [
            (sysroot, "rust"),
            (cargo_home.as_deref(), "cargo"),
            (Some(repository), "tidewaiter"),
        ];
        // Of two that fit, the compiler takes the last.
        let flags = folders.map(|(folder, name)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(folder?);
            flag.push(format!("=/{name}"));
            Some(flag)
        });
        flags.into_iter().flatten().collect()
    }
}

/// `bpf-linker` on the search path, else where `cargo install` puts it.
pub(crate) fn find_bpf_linker() -> Option<PathBuf> {
    find_program("bpf-linker", cargo_install_folder())
}

/// A program on the search path, else in one of the other folders.
pub(crate) fn find_program(name: &str, other_folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let search_path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&search_path)
        .chain(other_folders)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Where `cargo install` puts programs.
pub(crate) fn cargo_install_folder() -> Option<PathBuf> {
    Some(cargo_home()?.join("bin"))
}

/// Where cargo keeps the sources of dependencies, and what it installs.
fn cargo_home() -> Option<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")))
}

/// Fails where rustup or a nightly is not installed: only rustup's `rustc` understands `+nightly`.
fn rustup_nightly() -> Command {
    let mut command = Command::new("rustc");
    command.arg("+nightly").env("RUSTUP_AUTO_INSTALL", "0");
    command
}

fn sysroot_of(mut rustc: Command) -> Option<PathBuf> {
    let output = rustc.args(["--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(sysroot.trim_end()))
}

fn compiler_in(sysroot: &Path) -> Option<Compiler> {
    let compiler = Compiler {
        rustc: sysroot.join("bin/rustc"),
        cargo: sysroot.join("bin/cargo"),
    };
    let core_source = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs");
    (compiler.rustc.is_file() && compiler.cargo.is_file() && core_source.is_file()).then_some(compiler)
}
