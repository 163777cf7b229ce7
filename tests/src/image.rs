//! The test image: a static busybox's shell and tools, and programs with package managers' names.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;

use crate::program::{copy, stand_in};

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
