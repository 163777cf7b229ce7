//! The test image: a static busybox's shell and tools, and programs with package managers' names.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::program::{copy, run, stand_in};

/// Package managers that are programs; what they do does not matter, only their names and arguments.
pub const PACKAGE_MANAGERS: [&str; 10] = [
    "apt", "apt-get", "apk", "dpkg", "microdnf", "pacman", "rpm", "tdnf", "yum", "zypper",
];

/// A package manager that is a script, as the real one is.
pub const SCRIPT_PACKAGE_MANAGER: &str = "dnf";

/// Ends at once; the rule of [`crate::sensor::Home`] alerts on it.
pub const FENCE: &str = "fence";

/// Programs that no rule names.
pub const ORDINARY: [&str; 2] = ["ordinary", "unusual"];

/// Each a file of its own, so that the kernel resolves each to its own name.
const BUSYBOX_TOOLS: [&str; 2] = ["sh", "sleep"];

/// Fills `root` with the image's files.
pub fn fill(root: &Path) -> Result<()> {
    for folder in ["bin", "etc", "tmp", "usr/bin"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let busybox = root.join("bin/busybox");
    copy(Path::new("/bin/busybox"), &busybox)?;
    for tool in BUSYBOX_TOOLS {
        fs::hard_link(&busybox, root.join("bin").join(tool))?;
    }
    for name in PACKAGE_MANAGERS.iter().chain(&ORDINARY).chain([&FENCE]) {
        place_stand_in(&root.join("usr/bin").join(name))?;
    }
    place_script(&root.join("usr/bin").join(SCRIPT_PACKAGE_MANAGER))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    Ok(())
}

/// Puts a program that ends at once at `path`.
pub fn place_stand_in(path: &Path) -> Result<()> {
    copy(stand_in()?, path)
}

fn place_script(path: &Path) -> Result<()> {
    fs::write(path, "#!/bin/sh\n:\n")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Packs the image, with a command that it runs, as an archive that engines import under a name. `root` holds its files.
pub fn pack(root: &Path, name: &str, command: &[&str], folder: &Path) -> Result<PathBuf> {
    pack_configured(root, name, &json!({"Entrypoint": command}), folder)
}

/// The same with labels.
pub fn pack_labelled(root: &Path, name: &str, labels: &[(&str, &str)], folder: &Path) -> Result<PathBuf> {
    let labels: BTreeMap<_, _> = labels.iter().copied().collect();
    pack_configured(root, name, &json!({"Labels": labels}), folder)
}

fn pack_configured(root: &Path, name: &str, configuration: &Value, folder: &Path) -> Result<PathBuf> {
    let layer = folder.join("layer.tar");
    // With what a file's capabilities are kept in.
    let mut archive = Command::new("tar");
    archive.args(["--xattrs", "--xattrs-include=security.capability", "-C"]);
    run(archive.arg(root).arg("-cf").arg(&layer).arg("."))?;
    let sum = String::from_utf8(run(Command::new("sha256sum").arg(&layer))?.stdout)?;
    let digest = sum.split_whitespace().next().context("`sha256sum` printed nothing")?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": configuration,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(folder.join("config.json"), config.to_string())?;
    fs::write(folder.join("manifest.json"), manifest.to_string())?;
    let archive = folder.join("archive.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(folder).arg("-cf").arg(&archive);
    run(pack.args(["manifest.json", "config.json", "layer.tar"]))?;
    Ok(archive)
}
