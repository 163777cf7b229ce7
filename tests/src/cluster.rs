//! A Kubernetes of one node, in mount and network namespaces of its own: nothing of it can be reached from outside, and
//! what it mounts, links and sets is gone with them.
//!
//! etcd, containerd and Kubernetes' own programs are started by hand, each with its log in the cluster's folder. The node's
//! files are the machine's, but for `/run`, `/var/log`, and what is changed below `/etc` and `/var/lib`.

mod files;
mod images;
mod kubectl;
mod leftovers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::engine::wait_until;
use crate::namespaces::Namespaces;
use crate::program::run;

pub use images::{DEBUG_IMAGE, Rights, WEB_IMAGE, sensor_image};
pub use kubectl::PodContainer;
pub use leftovers::{end_leftovers, keeper};

/// In the environment of all programs of a cluster: where Kubernetes' own are.
pub const PROGRAMS: &str = "TIDEWAITER_CLUSTER_PROGRAMS";

/// In the environment of the tests: the folder with what is released.
pub const RELEASED: &str = "TIDEWAITER_RELEASED";

/// Of the folder of a cluster, among the temporary ones.
const FOLDER_PREFIX: &str = "tidewaiter-cluster-";

/// The one node's name.
pub const NODE: &str = "node-1";

/// Of the bridge that the pods are on too. No route leads out of it.
const NODE_ADDRESS: &str = "10.111.0.1";

/// The parts of a cluster, in the order of their start.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Daemon {
    Containerd,
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubelet,
}

/// A cluster, ended when it is dropped.
pub struct Cluster {
    folder: Mutex<Option<TempDir>>,
    path: PathBuf,
    programs: PathBuf,
    released: PathBuf,
    namespaces: Mutex<Namespaces>,
    daemons: Mutex<Vec<(Daemon, Child)>>,
}

impl Cluster {
    /// Its place, with nothing in it that runs.
    pub fn new(programs: &Path, released: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix(FOLDER_PREFIX)?;
        let cluster = Self {
            path: folder.path().to_owned(),
            folder: Mutex::new(Some(folder)),
            programs: programs.to_owned(),
            released: released.to_owned(),
            namespaces: Mutex::new(Namespaces::new()?),
            daemons: Mutex::default(),
        };
        for name in ["log", "pki", "static", "manifests", "state"] {
            fs::create_dir(cluster.path.join(name))?;
        }
        for (name, text) in files::all(&cluster.path) {
            fs::write(cluster.path.join(name), text)?;
        }
        run(cluster
            .inside("sh")
            .args(["-c", files::PREPARE, "prepare"])
            .arg(&cluster.path))
        .context("the node could not be prepared")?;
        Ok(cluster)
    }

    /// Starts all of it and waits until the node is ready for pods.
    pub fn start(&self) -> Result<()> {
        self.start_daemon(Daemon::Containerd)?;
        images::import(self, &self.released)?;
        self.start_daemon(Daemon::Etcd)?;
        self.start_daemon(Daemon::ApiServer)?;
        self.start_daemon(Daemon::ControllerManager)?;
        self.start_daemon(Daemon::Scheduler)?;
        self.start_daemon(Daemon::Kubelet)?;
        let is_ready = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        self.wait_until("the node is not ready", Daemon::Kubelet, || {
            let node = self.kubectl(&["get", "node", NODE, is_ready]).output();
            node.is_ok_and(|output| output.stdout == b"True")
        })?;
        // Pods of a namespace need its account.
        self.wait_until("there are no service accounts", Daemon::ControllerManager, || {
            let account = self.kubectl(&["get", "serviceaccount", "default"]).output();
            account.is_ok_and(|output| output.status.success())
        })
    }

    /// The folder of what is the cluster's: logs, keys, manifests.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sensor's state directory, which is `/var/lib/tidewaiter` on the node.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// A command on the node.
    pub fn inside(&self, program: &str) -> Command {
        lock(&self.namespaces).command(program)
    }

    /// Starts a part, again if it ran before, and waits until it answers.
    pub fn start_daemon(&self, daemon: Daemon) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log(daemon))?;
        let (program, arguments) = files::command(daemon, &self.path);
        let own = self.programs.join(&program);
        let program = if own.is_file() {
            own.to_string_lossy().into_owned()
        } else {
            program
        };
        let child = self
            .inside(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("could not start `{program}`"))?;
        lock(&self.daemons).push((daemon, child));
        match daemon {
            Daemon::Containerd => self.wait_until("containerd does not answer", daemon, || {
                let version = self.ctr(&["version"]).output();
                version.is_ok_and(|output| output.status.success())
            }),
            Daemon::ApiServer => self.wait_until("the API server is not ready", daemon, || {
                let answer = self.kubectl(&["get", "--raw", "/readyz"]).output();
                answer.is_ok_and(|output| output.status.success())
            }),
            // The node's being ready outlives its kubelet.
            Daemon::Kubelet => self.wait_until("the kubelet does not answer", daemon, || {
                let path = format!("/api/v1/nodes/{NODE}/proxy/healthz");
                let answer = self.kubectl(&["get", "--raw", &path]).output();
                answer.is_ok_and(|output| output.status.success())
            }),
            Daemon::Etcd | Daemon::ControllerManager | Daemon::Scheduler => Ok(()),
        }
    }

    /// Ends a part at once, as a crash does.
    pub fn crash_daemon(&self, daemon: Daemon) -> Result<()> {
        let mut daemons = lock(&self.daemons);
        let place = daemons.iter().position(|(other, _)| *other == daemon);
        let (_, mut child) = daemons.remove(place.with_context(|| format!("{daemon:?} does not run"))?);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// The `ctr` command, talking to the node's containerd.
    pub fn ctr(&self, arguments: &[&str]) -> Command {
        let mut ctr = self.inside("ctr");
        ctr.args(["--namespace", "k8s.io"]).args(arguments).stdin(Stdio::null());
        ctr
    }

    /// Waits for something that a part has to do, and says what that one's log ends with if it does not.
    fn wait_until(&self, failure: &str, daemon: Daemon, is_so: impl Fn() -> bool) -> Result<()> {
        let has_ended = || {
            let mut daemons = lock(&self.daemons);
            let child = daemons.iter_mut().find(|(other, _)| *other == daemon);
            child.is_none_or(|(_, child)| !matches!(child.try_wait(), Ok(None)))
        };
        let waited = wait_until(failure, || is_so() || has_ended());
        let waited = waited.and_then(|()| {
            ensure!(is_so(), "{failure}: it has ended");
            Ok(())
        });
        waited.with_context(|| {
            let log = fs::read_to_string(self.log(daemon)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            format!(
                "its log ends with:\n{}",
                lines[lines.len().saturating_sub(15)..].join("\n")
            )
        })
    }

    fn log(&self, daemon: Daemon) -> PathBuf {
        self.path.join("log").join(format!("{daemon:?}.log"))
    }

    /// Ends all processes of it and removes what they leave.
    pub fn end(&self) {
        lock(&self.namespaces).end();
        for (_, child) in lock(&self.daemons).iter_mut() {
            let _ = child.wait();
        }
        if let Some(folder) = lock(&self.folder).take()
            && let Err(error) = folder.close()
        {
            eprintln!("the cluster's folder could not be removed: {error}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
