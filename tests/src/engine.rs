//! A Docker engine of the test's own: its own data, socket and containers, gone at the end of the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::image;
use crate::lines::{Lines, PATIENCE};
use crate::namespaces::Namespaces;
use crate::program::run;
use crate::sensor::Home;
use crate::terminal::Terminal;

/// The name that every container of the tests runs.
pub const IMAGE: &str = "registry.example/tools/end-to-end:1.2";

/// How often to check whether something is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// An engine that runs until it is dropped, and ends with all its containers.
pub struct Engine {
    daemon: Child,
    log: Lines,
    folder: PathBuf,
    namespaces: Namespaces,
}

/// A container of the test image that sleeps.
pub struct Container {
    pub id: String,
    pub name: String,
}

/// A container whose processes are started through a pipe in its file system.
pub struct Listener {
    pub id: String,
    fences: PathBuf,
}

impl Listener {
    /// Runs the fence program in the container.
    pub fn run_fence(&self, number: &str) -> Result<()> {
        fs::write(&self.fences, format!("{number}\n")).context("could not write to the listener's pipe")
    }
}

impl Engine {
    /// Starts an engine and gives it the test image.
    pub fn start(home: &Home) -> Result<Self> {
        let folder = home.engine();
        let namespaces = Namespaces::new()?;
        let (daemon, log) = Self::start_daemon(&folder, &namespaces)?;
        let engine = Self {
            daemon,
            log,
            folder,
            namespaces,
        };
        engine.wait_until_it_answers()?;
        engine.import_image()?;
        Ok(engine)
    }

    fn start_daemon(folder: &Path, namespaces: &Namespaces) -> Result<(Child, Lines)> {
        let mut daemon = namespaces.command("dockerd");
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            daemon.arg(option).arg(folder.join(name));
        }
        daemon
            .arg("--host")
            .arg(format!("unix://{}", socket_in(folder).display()));
        // No test needs a network.
        daemon.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut daemon = daemon.spawn().context("could not start `dockerd`")?;
        let log = Lines::of(daemon.stderr.take().context("the engine's log is not connected")?);
        Ok((daemon, log))
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let answers = || {
            self.docker(&["version"])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        wait_until("the engine does not answer", answers)
            .with_context(|| format!("its log:\n{}", self.log.so_far().join("\n")))
    }

    fn import_image(&self) -> Result<()> {
        let root = self.folder.join("image");
        image::fill(&root)?;
        let archive = self.folder.join("image.tar");
        run(Command::new("tar")
            .arg("-C")
            .arg(&root)
            .arg("-cf")
            .arg(&archive)
            .arg("."))?;
        run(self
            .docker(&["import", "--change", "LABEL tidewaiter.test=end-to-end", "-", IMAGE])
            .stdin(File::open(&archive)?))?;
        Ok(())
    }

    /// The `docker` command, talking to this engine and to no other.
    pub fn docker(&self, arguments: &[&str]) -> Command {
        let mut docker = self.with_docker("docker");
        docker.args(arguments);
        docker
    }

    /// A program that calls `docker`.
    pub fn with_docker(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        command.env_remove("DOCKER_CONTEXT").env("DOCKER_CONFIG", &self.folder);
        command.env("DOCKER_HOST", format!("unix://{}", socket_in(&self.folder).display()));
        command
    }

    /// A command among the engine's own processes, for what finds it by its folders.
    pub fn beside(&self, program: &str) -> Command {
        self.namespaces.command(program)
    }

    /// Starts a container that stays until the end of the test.
    pub fn container(&self, name: &str) -> Result<Container> {
        let id = self.run_detached(&["--name", name], &["/bin/sleep", "infinity"])?;
        Ok(Container {
            id,
            name: name.to_owned(),
        })
    }

    /// Starts a container; its full id.
    pub fn run_detached(&self, options: &[&str], command: &[&str]) -> Result<String> {
        let mut docker = self.docker(&["run", "--detach", "--network", "none"]);
        let output = run(docker.args(options).arg(IMAGE).args(command))?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Runs a command in a container, without a terminal, to its end.
    pub fn exec(&self, container: &Container, command: &[&str]) -> Result<()> {
        run(self.docker(&["exec", &container.id]).args(command))?;
        Ok(())
    }

    /// Opens a shell in a container, as a person at a terminal does.
    pub fn shell(&self, container: &Container) -> Result<Terminal> {
        Terminal::open(&self.docker(&["exec", "-it", &container.id, "/bin/sh"]))
    }

    /// Starts a container that runs programs without the engine's help.
    pub fn listener(&self) -> Result<Listener> {
        let listen = "busybox mkfifo /tmp/fences; while read number < /tmp/fences; do fence $number; done";
        let id = self.run_detached(&[], &["/bin/sh", "-c", listen])?;
        let output = run(&mut self.docker(&["inspect", "--format", "{{.State.Pid}}", &id]))?;
        let process_id = String::from_utf8(output.stdout)?;
        let fences = Path::new("/proc").join(process_id.trim_end()).join("root/tmp/fences");
        wait_until("the listener does not listen", || fences.exists())?;
        Ok(Listener { id, fences })
    }

    /// Ends the engine at once, as a crash does. Its containers' processes go on.
    pub fn crash(&mut self) -> Result<()> {
        self.daemon.kill()?;
        self.daemon.wait()?;
        // The next engine would wait for this one's containerd, which is about to end with it.
        fs::remove_file(self.folder.join("exec/containerd/containerd.pid"))?;
        Ok(())
    }

    /// Starts the engine again, with the data it had.
    pub fn start_again(&mut self) -> Result<()> {
        (self.daemon, self.log) = Self::start_daemon(&self.folder, &self.namespaces)?;
        self.wait_until_it_answers()
    }
}

impl Drop for Engine {
    /// Its folder is thrown away, so neither it nor its containers need an orderly end.
    fn drop(&mut self) {
        self.namespaces.end();
        let _ = self.daemon.wait();
    }
}

/// For what gives no sign of its own when it is ready.
pub fn wait_until(failure: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    retry(failure, || is_so().then_some(()))
}

/// Tries until it succeeds.
pub fn retry<T>(failure: &str, mut attempt: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt() {
            return Ok(result);
        }
        if Instant::now() > deadline {
            bail!("{failure} after {} seconds", PATIENCE.as_secs());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}
