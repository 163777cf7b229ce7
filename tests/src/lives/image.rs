//! The image that lives run: a system of Debian's packages, with the scripts that such images have beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::folder;
use crate::engine::Engine;
use crate::program::{run, target_folder};

/// What the image is called.
pub const NAME: &str = "registry.example/ordinary/system:12";

/// The same without the scripts.
const SYSTEM: &str = "registry.example/ordinary/debian:12";

const SUITE: &str = "bookworm";

const PACKAGES: &str = "\
    ca-certificates cron curl dumb-init iproute2 less logrotate netcat-openbsd nginx-light openssh-client php-cli php-fpm \
    postgresql procps python3 redis-server rsync supervisor tini wget";

/// Nobody reads these here.
const LEFT_OUT: [&str; 4] = ["usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"];

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Into the folder `$0`. The packages' files stay there, for lives that install them again.
const INSTALL: &str = r#"
    printf '#!/bin/sh\nexit 101\n' > "$0/usr/sbin/policy-rc.d"
    chmod 755 "$0/usr/sbin/policy-rc.d"
    mount --rbind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    export DEBIAN_FRONTEND=noninteractive
    chroot "$0" apt-get update
    chroot "$0" apt-get install -y --no-install-recommends $1
    rm "$0/usr/sbin/policy-rc.d"
"#;

/// The system's files; made once, and kept below the target folder.
pub fn root() -> Result<PathBuf> {
    let folder = target_folder().join("lives");
    let root = folder.join("root");
    if root.is_dir() {
        return Ok(root);
    }
    fs::create_dir_all(&folder)?;
    let unfinished = folder.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", SUITE])
        .arg(&unfinished)
        .arg(debian_archive()?);
    run(debootstrap.env("PATH", PATH))?;
    let mut install = Command::new("unshare");
    install.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", INSTALL]);
    run(install.arg(&unfinished).arg(PACKAGES).env("PATH", PATH))?;
    for left_out in LEFT_OUT {
        fs::remove_dir_all(unfinished.join(left_out))?;
    }
    fs::rename(&unfinished, &root)?;
    Ok(root)
}

/// Gives an engine the image.
pub fn load(engine: &Engine, root: &Path) -> Result<()> {
    let mut pack = Command::new("tar");
    let mut packing = pack
        .arg("-C")
        .arg(root)
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()?;
    let archive = packing.stdout.take().context("the archive is not connected")?;
    run(engine.docker(&["import", "-", SYSTEM]).stdin(archive))?;
    ensure!(packing.wait()?.success(), "the image could not be packed");
    let recipe = folder().join("image.dockerfile");
    let mut build = engine.docker(&["build", "--tag", NAME, "--file"]);
    run(build
        .arg(recipe)
        .arg(folder().join("image"))
        .env("DOCKER_BUILDKIT", "0"))?;
    Ok(())
}

/// Where the machine's own apt fetches Debian from.
fn debian_archive() -> Result<String> {
    let mut targets = Command::new("apt-get");
    let output = run(targets.args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]))?;
    let text = String::from_utf8(output.stdout)?;
    let address = text.lines().find_map(|line| line.strip_prefix("Debian Debian "));
    Ok(address.context("no apt source of Debian is known here")?.to_owned())
}
