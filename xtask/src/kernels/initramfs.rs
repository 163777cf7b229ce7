//! The virtual machine's only file system: the sensor, a static busybox, runc, chrt, what these are linked with, and
//! the scripts in `guest/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::programs::Programs;
use crate::command::{repository, run_logged};

/// Users that the scenario needs.
const PASSWORD_FILE: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP_FILE: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The file system as a folder, and packed.
pub(crate) struct FileSystem {
    pub root: PathBuf,
    pub archive: PathBuf,
}

/// Makes the file system in `folder`.
pub(crate) fn build(folder: &Path, sensor: &Path, programs: &Programs) -> Result<FileSystem> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("could not empty `{}`", root.display()))?;
    }
    for needed in ["bin", "etc", "guest", "container/bin", "tmp"] {
        fs::create_dir_all(root.join(needed))?;
    }
    for (program, place) in [
        (sensor, "bin/tidewaiter"),
        (&programs.busybox, "bin/busybox"),
        (&programs.busybox, "container/bin/true"),
        (&programs.runc, "bin/runc"),
        (&programs.chrt, "bin/chrt"),
    ] {
        copy(program, &root.join(place))?;
    }
    for (library, place) in &programs.libraries {
        let place = root.join(place);
        fs::create_dir_all(place.parent().context("a library lies in a folder")?)?;
        copy(library, &place)?;
    }
    for script in fs::read_dir(repository().join("xtask/src/kernels/guest"))? {
        let script = script?;
        fs::copy(script.path(), root.join("guest").join(script.file_name()))?;
    }
    symlink("guest/init.sh", root.join("init"))?;
    fs::write(root.join("etc/passwd"), PASSWORD_FILE)?;
    fs::write(root.join("etc/group"), GROUP_FILE)?;

    let archive = folder.join("initramfs.cpio");
    let pack = "find . | cpio --quiet --create --format=newc > \"$0\"";
    run_logged(
        "kernels-cpio.log",
        Command::new("sh").args(["-c", pack]).arg(&archive).current_dir(&root),
    )?;
    Ok(FileSystem { root, archive })
}

fn copy(file: &Path, place: &Path) -> Result<()> {
    fs::copy(file, place).with_context(|| format!("could not copy `{}`", file.display()))?;
    Ok(())
}
