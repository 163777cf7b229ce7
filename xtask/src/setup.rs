//! Installs what building and testing need, on Debian 12 as root; elsewhere says what is missing.
//!
//! Everything is looked for first, so a second run installs nothing and costs nothing.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::architecture::{AARCH64, Architecture, X86_64};
use crate::command::{cargo, run_logged, succeeds, target_folder};
use crate::ebpf_toolchain::{Compiler, cargo_install_folder, find_bpf_linker, find_compiler, find_program};

/// The newest that builds with the workspace's `rust-version`.
const BPF_LINKER_VERSION: &str = "0.13.0";

const EQL_ORACLE_VERSION: &str = "1.0.1";

/// Not on everybody's search path.
pub(crate) const ADMINISTRATION_PROGRAMS: &str = "/usr/sbin";

/// Something that may be missing, and the packages that bring it.
struct Requirement {
    purpose: &'static str,
    is_there: fn() -> bool,
    debian_packages: &'static [&'static str],
    elsewhere: &'static str,
}

const COMPILER_WITH_SOURCE: Requirement = Requirement {
    purpose: "a Rust compiler with its library's source, for the kernel side",
    is_there: || find_compiler().is_some(),
    debian_packages: &["rustc-web", "cargo-web", "rust-web-src"],
    elsewhere: "rustup component add rust-src",
};

const CROSS_COMPILER: Requirement = Requirement {
    purpose: "a C compiler that links for arm64",
    is_there: || is_installed(AARCH64.compiler),
    debian_packages: &["gcc-aarch64-linux-gnu"],
    elsewhere: "install GCC for aarch64-linux-gnu",
};

const SHELLCHECK: Requirement = Requirement {
    purpose: "shellcheck",
    is_there: || is_installed("shellcheck"),
    debian_packages: &["shellcheck"],
    elsewhere: "install shellcheck",
};

const FOR_CHECKING: [Requirement; 2] = [
    Requirement {
        purpose: "cargo fmt",
        is_there: || succeeds(cargo().args(["fmt", "--version"])),
        debian_packages: &["rustfmt-web"],
        elsewhere: "rustup component add rustfmt",
    },
    Requirement {
        purpose: "cargo clippy",
        is_there: || succeeds(cargo().args(["clippy", "--version"])),
        debian_packages: &["rust-web-clippy"],
        elsewhere: "rustup component add clippy",
    },
];

const FOR_TESTING: [Requirement; 6] = [
    Requirement {
        purpose: "a Docker engine, for the end-to-end tests",
        is_there: || {
            ["docker", "dockerd", "containerd", "ctr", "runc"]
                .into_iter()
                .all(is_installed)
        },
        debian_packages: &["docker.io", "containerd", "runc"],
        elsewhere: "install Docker Engine: docker, dockerd, containerd with ctr, and runc",
    },
    Requirement {
        purpose: "Podman, for the end-to-end tests",
        is_there: || ["podman", "conmon", "newuidmap"].into_iter().all(is_installed),
        debian_packages: &["podman", "uidmap"],
        elsewhere: "install Podman, with newuidmap for users' containers",
    },
    Requirement {
        purpose: "a static busybox, for the test images",
        is_there: busybox_is_static,
        debian_packages: &["busybox-static"],
        elsewhere: "install a statically linked busybox on the search path",
    },
    Requirement {
        purpose: "what people open sessions with, for the end-to-end tests",
        is_there: || {
            ["ctr", "tmux", "script", "su", "dbclient", "dropbear"]
                .into_iter()
                .all(is_installed)
        },
        debian_packages: &["containerd", "tmux", "bsdutils", "util-linux", "dropbear-bin"],
        elsewhere: "install containerd's ctr, tmux, script, su, and Dropbear's dbclient and dropbear",
    },
    Requirement {
        purpose: "Python with virtual environments, for the package that EQL is held against",
        is_there: || succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
        debian_packages: &["python3-venv"],
        elsewhere: "install Python 3 with its modules `venv` and `ensurepip`",
    },
    Requirement {
        purpose: "valgrind, to count the instructions that rules take",
        is_there: || is_installed("valgrind"),
        debian_packages: &["valgrind"],
        elsewhere: "install valgrind",
    },
];

const EMULATOR: Requirement = Requirement {
    purpose: "QEMU, to boot other kernels",
    is_there: || is_installed(X86_64.machine.program),
    debian_packages: &["qemu-system-x86"],
    elsewhere: "install QEMU for x86-64",
};

const ARM64_EMULATOR: Requirement = Requirement {
    purpose: "QEMU, to boot kernels for arm64",
    is_there: || is_installed(AARCH64.machine.program),
    debian_packages: &["qemu-system-arm"],
    elsewhere: "install QEMU for arm64",
};

const DEBOOTSTRAP: Requirement = Requirement {
    purpose: "debootstrap, for systems of Debian's packages",
    is_there: || is_installed("debootstrap"),
    debian_packages: &["debootstrap"],
    elsewhere: "install debootstrap",
};

const FOR_KERNELS: [Requirement; 3] = [
    Requirement {
        purpose: "cpio, for the file system of virtual machines",
        is_there: || is_installed("cpio"),
        debian_packages: &["cpio"],
        elsewhere: "install cpio",
    },
    Requirement {
        purpose: "runc, for containers in virtual machines",
        is_there: || is_installed("runc"),
        debian_packages: &["runc"],
        elsewhere: "install runc",
    },
    Requirement {
        purpose: "a static busybox, for the file system of virtual machines",
        is_there: busybox_is_static,
        debian_packages: &["busybox-static"],
        elsewhere: "install a statically linked busybox on the search path",
    },
];

const FOR_CLUSTER: [Requirement; 7] = [
    Requirement {
        purpose: "Go, to build Kubernetes with",
        is_there: || is_installed("go"),
        debian_packages: &["golang-go"],
        elsewhere: "install Go 1.19",
    },
    Requirement {
        purpose: "a library of Go that Kubernetes' own copy of is too old for this Go",
        is_there: || Path::new(REFLECT2).is_dir(),
        debian_packages: &["golang-github-modern-go-reflect2-dev"],
        elsewhere: "place the source of github.com/modern-go/reflect2 1.0.2 there",
    },
    Requirement {
        purpose: "what unpacks Debian's source packages",
        is_there: || is_installed("dpkg-source"),
        debian_packages: &["dpkg-dev"],
        elsewhere: "install dpkg-source",
    },
    Requirement {
        purpose: "etcd, which holds what a cluster is",
        is_there: || is_installed("etcd"),
        debian_packages: &["etcd-server"],
        elsewhere: "install etcd",
    },
    Requirement {
        purpose: "plugins for the network of pods",
        is_there: || {
            ["bridge", "host-local", "loopback"]
                .iter()
                .all(|plugin| Path::new("/usr/lib/cni").join(plugin).is_file())
        },
        debian_packages: &["containernetworking-plugins"],
        elsewhere: "install the CNI plugins below /usr/lib/cni",
    },
    Requirement {
        purpose: "setcap, for an image whose program has capabilities of its own",
        is_there: || is_installed("setcap"),
        debian_packages: &["libcap2-bin"],
        elsewhere: "install setcap",
    },
    Requirement {
        purpose: "openssl, for the key that signs tokens of service accounts",
        is_there: || is_installed("openssl"),
        debian_packages: &["openssl"],
        elsewhere: "install openssl",
    },
];

/// Where Debian has the source of that library.
pub(crate) const REFLECT2: &str = "/usr/share/gocode/src/github.com/modern-go/reflect2";

pub(crate) fn for_building() -> Result<()> {
    provide(&[COMPILER_WITH_SOURCE])?;
    if find_bpf_linker().is_some() {
        return Ok(());
    }
    let compiler = find_compiler().context("the compiler with its library's source cannot be found")?;
    install_bpf_linker(&llvm_major(&compiler)?)
}

/// For [`crate::dist`].
pub(crate) fn for_release() -> Result<()> {
    for_building()?;
    provide(&[CROSS_COMPILER])
}

/// For [`crate::check`].
pub(crate) fn for_checking() -> Result<()> {
    for_building()?;
    provide(&FOR_CHECKING)
}

pub(crate) fn for_testing() -> Result<()> {
    for_checking()?;
    provide(&FOR_TESTING)?;
    if let Err(error) = install_eql_oracle() {
        // The tests that ask it say that they are skipped.
        eprintln!("xtask: the Python package `eql` could not be installed: {error:#}");
    }
    Ok(())
}

/// An independent implementation of EQL that tests ask. Its licence is the AGPL: it is a program of its own below the
/// target folder, never a part of this one.
fn install_eql_oracle() -> Result<()> {
    let folder = target_folder().join("eql-oracle");
    let python = folder.join("bin/python3");
    if succeeds(Command::new(&python).args(["-c", "import eql"])) {
        return Ok(());
    }
    eprintln!("xtask: installing the Python package `eql` {EQL_ORACLE_VERSION} (EQL is held against it)");
    run_logged(
        "eql-oracle-venv.log",
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
    )?;
    let package = format!("eql=={EQL_ORACLE_VERSION}");
    run_logged(
        "eql-oracle-pip.log",
        Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &package,
        ]),
    )
}

/// For kernels of one processor.
pub(crate) fn for_kernels(architecture: &Architecture) -> Result<()> {
    provide(&FOR_KERNELS)?;
    if architecture.name == AARCH64.name {
        provide(&[ARM64_EMULATOR, CROSS_COMPILER])
    } else {
        provide(&[EMULATOR])
    }
}

/// For [`crate::systemd`].
pub(crate) fn for_systemd() -> Result<()> {
    for_kernels(&X86_64)?;
    provide(&[DEBOOTSTRAP])
}

/// Beside what [`for_testing`] installs.
pub(crate) fn for_lives() -> Result<()> {
    provide(&[DEBOOTSTRAP])
}

/// Beside what [`for_testing`] installs.
pub(crate) fn for_cluster() -> Result<()> {
    provide(&FOR_CLUSTER)
}

pub(crate) fn for_shellcheck() -> Result<()> {
    provide(&[SHELLCHECK])
}

/// A subcommand of cargo that its registry has.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<()> {
    if find_program(name, cargo_install_folder()).is_some() {
        return Ok(());
    }
    eprintln!("xtask: building `{name}` {version}; a few minutes");
    run_logged(
        &format!("{name}.log"),
        cargo().args(["install", "--locked", "--version", version, name]),
    )
}

/// Installs the packages of all missing requirements at once, or lists what the user has to do.
fn provide(requirements: &[Requirement]) -> Result<()> {
    let missing: Vec<&Requirement> = requirements
        .iter()
        .filter(|requirement| !(requirement.is_there)())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let instructions: Vec<String> = missing
        .iter()
        .map(|requirement| format!("{}: {}", requirement.purpose, requirement.elsewhere))
        .collect();
    let packages: Vec<(&str, &str)> = missing
        .iter()
        .flat_map(|requirement| {
            requirement
                .debian_packages
                .iter()
                .map(|package| (*package, requirement.purpose))
        })
        .collect();
    install_debian_packages(&packages, &instructions)?;
    match missing.iter().find(|requirement| !(requirement.is_there)()) {
        None => Ok(()),
        Some(requirement) => bail!(
            "{} is still missing; please: {}",
            requirement.purpose,
            requirement.elsewhere
        ),
    }
}

fn install_debian_packages(packages: &[(&str, &str)], elsewhere: &[String]) -> Result<()> {
    if !is_debian_12() {
        bail!(
            "missing, and only installed by this program on Debian 12:\n  {}",
            elsewhere.join("\n  ")
        );
    }
    let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
    if !succeeds(Command::new("test").args(["-w", "/var/lib/dpkg"])) {
        bail!(
            "please run as root: apt-get update && apt-get install --no-install-recommends {}",
            names.join(" ")
        );
    }
    for (name, purpose) in packages {
        eprintln!("xtask: installing {name} ({purpose})");
    }
    run_logged("apt-update.log", apt_get().arg("update"))?;
    run_logged(
        "apt-install.log",
        apt_get().args(["install", "-y", "--no-install-recommends"]).args(names),
    )
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_debian_12() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    release.lines().any(|line| line == "ID=debian") && release.lines().any(|line| line == "VERSION_ID=\"12\"")
}

/// `bpf-linker` reads what the compiler's LLVM wrote, so it is built with an LLVM of the same major version.
fn install_bpf_linker(llvm_major: &str) -> Result<()> {
    let prefix = format!("/usr/lib/llvm-{llvm_major}");
    let arguments = format!(
        "install bpf-linker --locked --version {BPF_LINKER_VERSION} --no-default-features --features llvm-{llvm_major}"
    );
    if !Path::new(&prefix).join("bin/llvm-config").is_file() {
        let package = format!("llvm-{llvm_major}-dev");
        install_debian_packages(
            &[(&package, "LLVM, to build `bpf-linker` with")],
            &[format!(
                "`bpf-linker`: install LLVM {llvm_major} with its headers, then `LLVM_PREFIX=.. cargo {arguments}`"
            )],
        )?;
    }
    eprintln!("xtask: building `bpf-linker` {BPF_LINKER_VERSION} (links the kernel side); about a minute");
    let mut search_path = OsString::from(format!("{prefix}/bin:"));
    search_path.push(env::var_os("PATH").unwrap_or_default());
    let mut install = cargo();
    install
        .args(arguments.split(' '))
        .env("LLVM_PREFIX", prefix)
        .env("PATH", search_path);
    run_logged("bpf-linker.log", &mut install)
}

fn llvm_major(compiler: &Compiler) -> Result<String> {
    let output = Command::new(&compiler.rustc).arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next())
        .map(str::to_owned)
        .with_context(|| format!("`{} -vV` names no LLVM version", compiler.rustc.display()))
}

fn is_installed(program: &str) -> bool {
    find_program(program, [ADMINISTRATION_PROGRAMS.into()]).is_some()
}

fn busybox_is_static() -> bool {
    let Some(busybox) = find_program("busybox", []) else {
        return false;
    };
    // ldd names a dynamic program's libraries as `NAME => PATH`, and fails or says so for a static one.
    let Ok(output) = Command::new("ldd").arg(busybox).output() else {
        return false;
    };
    !String::from_utf8_lossy(&output.stdout).contains("=>")
}
