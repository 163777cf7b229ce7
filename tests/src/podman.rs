//! A Podman of the test's own, with the service behind its API socket; root's, or a user's.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::engine::{IMAGE, wait_until};
use crate::image;
use crate::lines::Lines;
use crate::namespaces::Namespaces;
use crate::program::run;

/// A user that needs no entry in the system's list: the kernel knows users by number.
pub const USER: u32 = 54_321;

/// Whose containers they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Root,
    /// [`USER`].
    User,
}

/// An engine whose service runs until it is dropped.
pub struct Podman {
    service: Child,
    _log: Lines,
    folder: PathBuf,
    owner: Owner,
    namespaces: Namespaces,
}

impl Podman {
    /// Starts the service and imports the test image.
    pub fn start(folder: &Path, socket: &Path, owner: Owner) -> Result<Self> {
        fs::create_dir_all(folder)?;
        // Podman asks for more open files than a machine's root may be allowed to give.
        let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
        fs::write(folder.join("containers.conf"), limits)?;
        let root = folder.join("image");
        image::fill(&root)?;
        let archive = folder.join("image.tar");
        run(Command::new("tar")
            .arg("-C")
            .arg(&root)
            .arg("-cf")
            .arg(&archive)
            .arg("."))?;
        if owner == Owner::User {
            for path in [folder, &folder.join("containers.conf"), &archive] {
                chown(path, Some(USER), Some(USER))?;
            }
        }
        let namespaces = Namespaces::new()?;
        run(podman(&namespaces, folder, owner)
            .arg("import")
            .arg(&archive)
            .arg(IMAGE))?;
        let mut service = podman(&namespaces, folder, owner);
        service.args(["system", "service", "--time", "0"]);
        service.arg(format!("unix://{}", socket.display()));
        service.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut service = service.spawn().context("could not start `podman`")?;
        let log = Lines::of(service.stderr.take().context("the service's log is not connected")?);
        let engine = Self {
            service,
            _log: log,
            folder: folder.to_owned(),
            owner,
            namespaces,
        };
        wait_until("Podman's service does not listen", || socket.exists())?;
        Ok(engine)
    }

    /// The `podman` command on this engine's data.
    pub fn podman(&self, arguments: &[&str]) -> Command {
        let mut podman = podman(&self.namespaces, &self.folder, self.owner);
        podman.args(arguments);
        podman
    }

    /// A command among the engine's own processes, for what finds it by its folders.
    pub fn beside(&self, program: &str) -> Command {
        self.namespaces.command(program)
    }

    /// Starts a container; its full id.
    pub fn run_detached(&self, options: &[&str], command: &[&str]) -> Result<String> {
        let mut podman = self.podman(&["run", "--detach", "--network", "none"]);
        let output = run(podman.args(options).arg(IMAGE).args(command))?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.namespaces.end();
        let _ = self.service.wait();
    }
}

fn podman(namespaces: &Namespaces, folder: &Path, owner: Owner) -> Command {
    let mut command = match owner {
        Owner::Root => namespaces.command("podman"),
        Owner::User => {
            let mut command = namespaces.command("setpriv");
            let user = USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "podman"]);
            command
        }
    };
    command.arg("--root").arg(folder.join("root"));
    command.arg("--runroot").arg(folder.join("run"));
    command.args([
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
    ]);
    // Debian's crun refuses machines with both versions of cgroups.
    command.args(["--runtime", "runc"]);
    command.env("CONTAINERS_CONF", folder.join("containers.conf"));
    command.env("HOME", folder).env("XDG_RUNTIME_DIR", folder);
    command.stdin(Stdio::null());
    command
}
