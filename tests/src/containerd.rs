//! A containerd of the test's own, with its CRI plugin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::cri::Kubelet;
use crate::engine::{IMAGE, wait_until};
use crate::image;
use crate::lines::Lines;
use crate::namespaces::Namespaces;
use crate::program::run;
use crate::sensor::Home;

/// What holds a pod's namespaces.
pub const SANDBOX_IMAGE: &str = "registry.example/tools/pause:1";

/// Where the CRI plugin keeps its containers.
pub const KUBERNETES: &str = "k8s.io";

/// An engine that runs until it is dropped.
pub struct Containerd {
    daemon: Child,
    log: Lines,
    socket: PathBuf,
    namespaces: Namespaces,
}

impl Containerd {
    /// Starts an engine and gives it the test image.
    pub fn start(home: &Home) -> Result<Self> {
        let folder = home.engine().join("containerd");
        fs::create_dir_all(&folder)?;
        let config = folder.join("config.toml");
        fs::write(&config, configuration(&folder, &home.containerd_socket()))?;
        let namespaces = Namespaces::new()?;
        let mut daemon = namespaces.command("containerd");
        daemon.arg("--config").arg(&config);
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = daemon.spawn().context("could not start `containerd`")?;
        let log = Lines::of(daemon.stderr.take().context("the engine's log is not connected")?);
        let engine = Self {
            daemon,
            log,
            socket: home.containerd_socket(),
            namespaces,
        };
        let answers = || {
            engine
                .ctr(&["version"])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        wait_until("containerd does not answer", answers)
            .with_context(|| format!("its log:\n{}", engine.log.so_far().join("\n")))?;
        for archive in archives(&folder)? {
            for namespace in [KUBERNETES, "default"] {
                run(engine
                    .ctr(&["--namespace", namespace, "images", "import", "--snapshotter", "native"])
                    .arg(&archive))?;
            }
        }
        Ok(engine)
    }

    /// The `ctr` command, talking to this engine.
    pub fn ctr(&self, arguments: &[&str]) -> Command {
        let mut ctr = self.namespaces.command("ctr");
        ctr.arg("--address")
            .arg(&self.socket)
            .args(arguments)
            .stdin(Stdio::null());
        ctr
    }

    /// What drives this engine over CRI.
    pub fn kubelet(&self) -> Result<Kubelet> {
        Kubelet::connect(&self.socket, &self.namespaces.network())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.namespaces.end();
        let _ = self.daemon.wait();
    }
}

/// Without a network of its own, for there are no plugins for one.
pub fn configuration(folder: &Path, socket: &Path) -> String {
    format!(
        r#"version = 2
root = {root:?}
state = {state:?}
[grpc]
  address = {socket:?}
[ttrpc]
  address = {ttrpc:?}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"#,
        root = folder.join("root"),
        state = folder.join("state"),
        ttrpc = folder.join("ttrpc.sock"),
    )
}

/// The test image and the sandbox's, as archives.
pub fn archives(folder: &Path) -> Result<[PathBuf; 2]> {
    let root = folder.join("image");
    image::fill(&root)?;
    let of_image = folder.join("of-image");
    let of_sandbox = folder.join("of-sandbox");
    fs::create_dir_all(&of_image)?;
    fs::create_dir_all(&of_sandbox)?;
    Ok([
        image::pack(&root, IMAGE, &[], &of_image)?,
        image::pack(&root, SANDBOX_IMAGE, &["/bin/sleep", "infinity"], &of_sandbox)?,
    ])
}
