//! Builds the kernel side (`sensor-ebpf`) and puts the object at `OUT_DIR/tidewaiter-ebpf` for the agent to embed.
//!
//! A compiler of its own is called, because the kernel side needs the library's source and an unstable option, which
//! the agent's compiler may lack. Its target folder is shared by all profiles, so the object is compiled once.

#[path = "build/ebpf_toolchain.rs"]
mod ebpf_toolchain;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ebpf_toolchain::{Compiler, find_bpf_linker, find_compiler};

const OBJECT: &str = "tidewaiter-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// What cargo sets for this script and its own compiler, and what would turn the kernel side's build into something
/// else.
const NOT_INHERITED: [&str; 9] = [
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let compiler = find_compiler().ok_or(
        "the kernel side needs a Rust compiler with the library's source: run `./dev build`, which installs it, or \
         `rustup component add rust-src`",
    )?;
    let bpf_linker =
        find_bpf_linker().ok_or("the kernel side needs `bpf-linker`: run `./dev build`, which installs it")?;

    let crate_folder = folder_from_cargo("CARGO_MANIFEST_DIR")?;
    let repository = crate_folder.parent().ok_or("the crate has no parent folder")?;
    let out_folder = folder_from_cargo("OUT_DIR")?;
    // OUT_DIR is TARGET_DIR/PROFILE/build/PACKAGE/out.
    let target_folder = out_folder
        .ancestors()
        .nth(4)
        .ok_or("`OUT_DIR` is not where cargo puts it")?
        .join("ebpf");

    rerun_if_changed(repository, &[&compiler.rustc, &bpf_linker]);
    compile(&compiler, &bpf_linker, repository, &target_folder)?;

    let built = target_folder.join(TARGET).join("release").join(OBJECT);
    fs::copy(&built, out_folder.join(OBJECT))
        .map_err(|error| format!("could not copy `{}`: {error}", built.display()))?;
    Ok(())
}

fn folder_from_cargo(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| format!("cargo did not set `{variable}`"))
}

fn rerun_if_changed(repository: &Path, tools: &[&Path]) {
    let sources = ["sensor-ebpf/src", "sensor-ebpf/Cargo.toml", "sensor-ebpf/Cargo.lock"];
    let shared = ["sensor-abi/src", "sensor-abi/Cargo.toml", "Cargo.toml"];
    let own = ["sensor/build.rs", "sensor/build"];
    for path in sources.into_iter().chain(shared).chain(own) {
        println!("cargo::rerun-if-changed={}", repository.join(path).display());
    }
    for tool in tools {
        println!("cargo::rerun-if-changed={}", tool.display());
    }
}

fn compile(compiler: &Compiler, bpf_linker: &Path, repository: &Path, target_folder: &Path) -> Result<(), String> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| error.to_string())?;
    let mut linker = OsString::from("-Clinker=");
    linker.push(bpf_linker);
    let mut flags = compiler.path_flags(repository);
    flags.extend([
        linker,
        "-Clink-arg=--btf".into(),
        // BTF is made from the debug information.
        "-Cdebuginfo=2".into(),
        // Which layout of registers the kernel's arguments come in; `aya-ebpf` reads it.
        format!("--cfg=bpf_target_arch=\"{architecture}\"").into(),
    ]);

    let mut cargo = Command::new(&compiler.cargo);
    for variable in NOT_INHERITED {
        cargo.env_remove(variable);
    }
    cargo
        .current_dir(repository.join("sensor-ebpf"))
        .args([
            "build",
            "--locked",
            "--release",
            "--target",
            TARGET,
            "-Zbuild-std=core",
            "--target-dir",
        ])
        .arg(target_folder)
        .env("RUSTC", &compiler.rustc)
        // `-Z build-std` and the eBPF target need the unstable features of whichever compiler this is.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\x1f")));

    let status = cargo
        .status()
        .map_err(|error| format!("could not start `{}`: {error}", compiler.cargo.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err("the kernel side did not build".to_owned())
    }
}
