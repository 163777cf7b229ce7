//! The sensor as a user starts it, and the questions a test has for it.

use std::collections::HashSet;
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::document::Document;
use crate::lines::Lines;
use crate::program::tidewaiter;

/// What the sensor says on stderr once it sees every event.
const READY: &str = "watching";

/// What the sensor says on stderr of a system call that it makes although it is not on the list of the thread's role.
const CALL_REFUSED: &str = "was refused to a thread of the sensor";

const FENCE_RULE_NAME: &str = "Fence";

/// Alerts on [`crate::image::FENCE`], wherever it runs.
pub const FENCE_RULE: &str = r#"
[rule]
name = "Fence"
description = "A program that only the tests run."
rule_id = "4d3f2f8e-0d43-4f0e-9a53-5c1b9a4f2d10"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
max_signals = 1000000
query = 'process where event.action == "exec" and process.name == "fence"'
"#;

/// Configuration, rules and state of a sensor, and its engine's place; they outlive it, so that it can be started again.
///
/// There is one at a time on this machine: a sensor sees all that happens on it, other tests' containers too.
pub struct Home {
    folder: TempDir,
    _alone: File,
}

/// Waits until no other test has the machine; this one has it as long as the file is open.
pub fn alone() -> Result<File> {
    let alone = File::create(env::temp_dir().join("tidewaiter-end-to-end.lock"))?;
    alone.lock()?;
    Ok(alone)
}

impl Home {
    /// With the stock rules and the fence, and nothing to learn first.
    pub fn new() -> Result<Self> {
        // Built before the others are kept waiting.
        tidewaiter()?;
        let home = Self {
            _alone: alone()?,
            folder: TempDir::with_prefix("tidewaiter-home-")?,
        };
        fs::create_dir(home.state())?;
        fs::create_dir(home.rules())?;
        fs::create_dir(home.engine())?;
        fs::write(home.rules().join("fence.toml"), FENCE_RULE)?;
        let config = format!(
            "rules = [{:?}]\nlearn_for = \"0s\"\nstate_directory = {:?}\n[containers]\ndocker_socket = {:?}\n\
             podman_socket = {:?}\ncontainerd_socket = {:?}\ncrio_socket = {:?}\n",
            home.rules(),
            home.state(),
            home.docker_socket(),
            home.podman_socket(),
            home.containerd_socket(),
            home.crio_socket(),
        );
        fs::write(home.config(), config)?;
        Ok(home)
    }

    /// The folder that holds everything else.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("tidewaiter.toml")
    }

    /// The folder of rule files beside the stock rules.
    pub fn rules(&self) -> PathBuf {
        self.path().join("rules")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Where [`crate::engine::Engine`] keeps its data.
    pub fn engine(&self) -> PathBuf {
        self.path().join("engine")
    }

    /// Nothing answers there before the engine is started.
    pub fn docker_socket(&self) -> PathBuf {
        self.engine().join("docker.sock")
    }

    /// As [`Self::docker_socket`].
    pub fn podman_socket(&self) -> PathBuf {
        self.engine().join("podman.sock")
    }

    /// As [`Self::docker_socket`].
    pub fn containerd_socket(&self) -> PathBuf {
        self.engine().join("containerd.sock")
    }

    /// A folder that a user may write to, below folders that a user may pass.
    pub fn user_folder(&self, user: u32) -> Result<PathBuf> {
        let folder = self.path().join("user");
        fs::create_dir(&folder)?;
        chown(&folder, Some(user), Some(user))?;
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o755))?;
        Ok(folder)
    }

    /// As [`Self::docker_socket`].
    pub fn crio_socket(&self) -> PathBuf {
        self.engine().join("crio.sock")
    }

    /// Adds a line to the section on containers of the configuration.
    pub fn configure(&self, line: &str) -> Result<()> {
        let config = fs::read_to_string(self.config())?;
        fs::write(self.config(), format!("{config}{line}\n"))?;
        Ok(())
    }

    /// Has metrics written to this file.
    pub fn write_metrics(&self, file: &Path) -> Result<()> {
        self.set(&format!("metrics_file = {file:?}"))
    }

    /// Adds a line to the beginning of the configuration, which is in no section.
    pub fn set(&self, line: &str) -> Result<()> {
        let config = fs::read_to_string(self.config())?;
        fs::write(self.config(), format!("{line}\n{config}"))?;
        Ok(())
    }

    /// A `tidewaiter` command with this home's configuration.
    pub fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(tidewaiter()?);
        command.arg(name).arg("--config").arg(self.config());
        Ok(command)
    }

    /// Starts the sensor and waits until it sees every event.
    pub fn run(&self) -> Result<Sensor> {
        Sensor::start(self.command("run")?.args(["--format", "json"]))
    }

    /// Starts the recorder and waits until it sees every event.
    pub fn events(&self) -> Result<Sensor> {
        Sensor::start(self.command("events")?.arg("--containers-only"))
    }
}

/// A running `tidewaiter`, killed when it is dropped.
pub struct Sensor {
    process: Child,
    /// One JSON document a line.
    pub output: Lines,
    pub diagnostics: Lines,
}

impl Sensor {
    /// Starts the sensor and waits until it sees every event.
    pub fn start(command: &mut Command) -> Result<Self> {
        let sensor = Self::start_without_waiting(command)?;
        let is_ready = |line: &str| line.contains(READY).then_some(());
        sensor.diagnostics.wait_for("word that the sensor is ready", is_ready)?;
        Ok(sensor)
    }

    /// Starts the sensor, which may end at once.
    pub fn start_without_waiting(command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .with_context(|| format!("could not start {command:?}"))?;
        let output = Lines::of(process.stdout.take().context("the output is not connected")?);
        let diagnostics = Lines::of(process.stderr.take().context("the diagnostics are not connected")?);
        Ok(Self {
            process,
            output,
            diagnostics,
        })
    }

    /// Waits for an output document of which `find` makes something.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&Document) -> Option<T>) -> Result<T> {
        self.output.wait_for(what, |line| find(&Document::parse(line).ok()?))
    }

    /// The alerts that have come already.
    pub fn alerts_so_far(&self) -> Vec<Document> {
        let lines = self.output.so_far();
        let documents = lines.iter().filter_map(|line| Document::parse(line).ok());
        documents.filter(|document| !document.is_notice()).collect()
    }

    /// All alerts of what happened until now; those of fences are left out, and of an alert that was amended only the last
    /// amendment counts.
    ///
    /// `run_fence` runs the fence program with the argument it is given, in the place whose alerts are of interest.
    /// Twice: an alert that waited for its container's name may be overtaken by one that need not wait any more, but
    /// not by one that is raised after that.
    pub fn alerts_until_now(&self, mut run_fence: impl FnMut(&str) -> Result<()>) -> Result<Vec<Document>> {
        self.fence(&mut run_fence)?;
        self.fence(&mut run_fence)?;
        let documents = self
            .output
            .so_far()
            .iter()
            .map(|line| Document::parse(line))
            .collect::<Result<Vec<_>>>()?;
        let alerts = documents.into_iter().filter(|document| !document.is_notice());
        let alerts = alerts.filter(|alert| alert.rule() != FENCE_RULE_NAME);
        Ok(last_forms(alerts.collect()))
    }

    /// Asks the sensor to end; all alerts that it told, as [`Self::alerts_until_now`] has them.
    pub fn alerts_at_end(mut self) -> Result<Vec<Document>> {
        kill(Pid::from_raw(i32::try_from(self.process.id())?), Signal::SIGTERM)?;
        let status = self.wait()?;
        ensure!(status.success(), "the sensor ended with {status}");
        let lines = self.output.wait_for_end()?;
        let documents = lines.iter().map(|line| Document::parse(line));
        let alerts = documents.filter(|document| document.as_ref().is_ok_and(|document| !document.is_notice()));
        Ok(last_forms(alerts.collect::<Result<_>>()?))
    }

    /// Raises an alert now and waits for it.
    pub fn fence(&self, run_fence: impl FnOnce(&str) -> Result<()>) -> Result<Document> {
        static FENCES: AtomicU32 = AtomicU32::new(0);
        let number = format!(
            "fence-{}-{}",
            std::process::id(),
            FENCES.fetch_add(1, Ordering::Relaxed)
        );
        run_fence(&number)?;
        self.wait_for("alert of the fence", |alert| {
            (alert.rule() == FENCE_RULE_NAME && alert.text("process.args").contains(&number)).then(|| alert.clone())
        })
    }

    /// The process id of the sensor.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Asks the sensor to end, as a service manager does.
    pub fn stop(mut self) -> Result<ExitStatus> {
        kill(Pid::from_raw(i32::try_from(self.process.id())?), Signal::SIGTERM)?;
        self.wait()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.wait()?;
        Ok(())
    }

    /// Waits until the sensor ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.diagnostics.wait_for_end()?;
        self.process.wait().context("could not wait for the sensor")
    }

    /// That the sensor ended by itself with this status and said why.
    pub fn assert_fails(mut self, status: i32, said: &[&str]) -> Result<()> {
        let exit_status = self.wait()?;
        let text = self.diagnostics.wait_for_end()?.join("\n");
        if exit_status.code() != Some(status) {
            bail!("exit status {exit_status} instead of {status}:\n{text}");
        }
        match said.iter().find(|word| !text.contains(**word)) {
            Some(word) => bail!("`{word}` is not in what the sensor said:\n{text}"),
            None => Ok(()),
        }
    }
}

/// Of each alert what was told of it last.
pub fn last_forms(mut alerts: Vec<Document>) -> Vec<Document> {
    let mut known = HashSet::new();
    alerts.reverse();
    alerts.retain(|alert| known.insert(alert.alert_id()));
    alerts.reverse();
    alerts
}

impl Drop for Sensor {
    /// No thread of the sensor may have made a system call that its role does not: the list of those is wrong then.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let lines = self.diagnostics.so_far();
        let refused = lines.iter().find(|line| line.contains(CALL_REFUSED));
        assert!(thread::panicking() || refused.is_none(), "{refused:?}");
    }
}
