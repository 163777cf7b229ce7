//! The virtual machine's only file system: the sensor with its libraries, a static busybox, runc, chrt, and the
//! scripts in `guest/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{repository, run_logged};
use crate::ebpf_toolchain::find_program;
use crate::setup::ADMINISTRATION_PROGRAMS;

/// Users that the scenario needs.
const PASSWORD_FILE: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
const GROUP_FILE: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The file system as a folder, and packed.
pub(crate) struct FileSystem {
    pub root: PathBuf,
    pub archive: PathBuf,
}

/// Makes the file system in `folder`.
pub(crate) fn build(folder: &Path, sensor: &Path) -> Result<FileSystem> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("could not empty `{}`", root.display()))?;
    }
    for needed in ["bin", "etc", "guest", "container/bin", "tmp"] {
        fs::create_dir_all(root.join(needed))?;
    }
    let busybox = find_program("busybox", []).context("busybox is not installed")?;
    fs::copy(&busybox, root.join("bin/busybox"))?;
    fs::copy(&busybox, root.join("container/bin/true"))?;
    fs::copy(sensor, root.join("bin/tidewaiter")).with_context(|| format!("could not copy `{}`", sensor.display()))?;
    let runc = find_program("runc", [ADMINISTRATION_PROGRAMS.into()]).context("runc is not installed")?;
    fs::copy(&runc, root.join("bin/runc"))?;
    let chrt = find_program("chrt", []).context("chrt, of util-linux, is not installed")?;
    fs::copy(&chrt, root.join("bin/chrt"))?;
    let libraries = [libraries(sensor)?, libraries(&runc)?, libraries(&chrt)?].concat();
    for library in libraries {
        let copy = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(copy.parent().context("a library lies in a folder")?)?;
        fs::copy(&library, &copy).with_context(|| format!("could not copy `{}`", library.display()))?;
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

/// The loader and the shared libraries of a program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("could not start `ldd`")?;
    let text = String::from_utf8(output.stdout)?;
    let words = text.split_whitespace();
    Ok(words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
