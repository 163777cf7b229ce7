//! The virtual machine's file system: Debian's smallest system with systemd, made once, and what is tried in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::checks::STOCK_RULE;
use crate::apt;
use crate::command::{repository, run_logged};

const SUITE: &str = "bookworm";

/// Nobody reads these here.
const LEFT_OUT: [&str; 7] = [
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];

/// The system as an archive in `folder`; made if it is not there yet.
pub(crate) fn base(folder: &Path) -> Result<PathBuf> {
    let archive = folder.join("base.cpio");
    if archive.is_file() {
        return Ok(archive);
    }
    eprintln!("xtask: making a system of Debian's packages; a minute or two");
    let root = folder.join("base");
    remove(&root)?;
    run_logged(
        "debootstrap.log",
        Command::new("debootstrap")
            .args(["--variant=minbase", "--include=systemd-sysv", SUITE])
            .arg(&root)
            .arg(apt::address("Debian")?)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    )?;
    for left_out in LEFT_OUT {
        remove(&root.join(left_out))?;
    }
    // The first program that the kernel looks for.
    symlink("sbin/init", root.join("init"))?;
    let unfinished = folder.join("base.unfinished");
    pack(&root, &unfinished)?;
    remove(&root)?;
    fs::rename(&unfinished, &archive)?;
    Ok(archive)
}

/// The system with the package, one that counts as newer, and the trial.
pub(crate) fn build(folder: &Path, base: &Path, package: &Path) -> Result<PathBuf> {
    let root = folder.join("tried");
    remove(&root)?;
    let wanted = root.join("etc/systemd/system/multi-user.target.wants");
    let trial = root.join("trial");
    for needed in [&wanted, &trial] {
        fs::create_dir_all(needed)?;
    }
    let guest = repository().join("xtask/src/systemd/guest");
    fs::copy(guest.join("trial.sh"), trial.join("trial.sh"))?;
    fs::copy(
        guest.join("trial.service"),
        root.join("etc/systemd/system/trial.service"),
    )?;
    symlink("../trial.service", wanted.join("trial.service"))?;
    fs::copy(
        repository().join("xtask/src/kernels/guest/term.toml"),
        trial.join("term.toml"),
    )?;
    fs::write(trial.join("stock-rule"), STOCK_RULE)?;
    fs::copy(package, trial.join("tidewaiter.deb"))
        .with_context(|| format!("could not copy `{}`", package.display()))?;
    make_newer(folder, package, &trial.join("tidewaiter-next.deb"))?;

    // The kernel unpacks one archive after the other.
    let archive = folder.join("initramfs.cpio");
    let added = folder.join("tried.cpio");
    pack(&root, &added)?;
    let mut whole = fs::File::create(&archive)?;
    for part in [base, &added] {
        std::io::copy(&mut fs::File::open(part)?, &mut whole)?;
    }
    Ok(archive)
}

/// The same package as a later version.
fn make_newer(folder: &Path, package: &Path, newer: &Path) -> Result<()> {
    let unpacked = folder.join("newer");
    remove(&unpacked)?;
    run_logged(
        "dpkg-deb.log",
        Command::new("dpkg-deb")
            .arg("--raw-extract")
            .arg(package)
            .arg(&unpacked),
    )?;
    let control = unpacked.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let lines = text.lines().map(|line| match line.strip_prefix("Version: ") {
        Some(version) => format!("Version: {version}+next\n"),
        None => format!("{line}\n"),
    });
    fs::write(&control, lines.collect::<String>())?;
    run_logged(
        "dpkg-deb.log",
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(&unpacked)
            .arg(newer),
    )
}

fn pack(root: &Path, archive: &Path) -> Result<()> {
    let pack = "find . | cpio --quiet --create --format=newc > \"$0\"";
    run_logged(
        "systemd-cpio.log",
        Command::new("sh").args(["-c", pack]).arg(archive).current_dir(root),
    )
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
    }
    Ok(())
}
