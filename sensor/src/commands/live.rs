//! What `run` and `events` have in common: attach, scan, start the event thread, obey signals.

use std::{
    ffi::c_void,
    io,
    ptr::NonNull,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::signal::{SigSet, Signal};
use thiserror::Error;
use tracing::{info, level_filters::LevelFilter, warn};

use crate::{
    config::Config,
    container::{Directory, EngineState, EngineStatus, identify},
    host::Host,
    kernel::{KernelError, KernelOptions, KernelSensor, RecordLog},
    pipeline::{EventHandler, Pipeline},
    process::{ProcessTable, scan},
    record::RecordBuilder,
    telemetry::counts::PipelineCounts,
    users::Users,
};

/// Commands to the event thread that may wait; more are not sent at once.
const COMMANDS_AT_MOST: usize = 8;
/// How long the start may be delayed for the engines' containers.
const ENGINES_MAY_TAKE: Duration = Duration::from_secs(2);
/// The event thread's stack: the deepest path is the rule engine's, whose nesting is limited.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Why live events cannot be had.
#[derive(Debug, Error)]
pub enum LiveError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("/proc cannot be read: {0}; it has to be mounted, and in a container be the host's (`--pid=host`)")]
    Proc(#[from] procfs::ProcError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    #[error("the event thread ended unexpectedly; please report this")]
    Panicked,
}

/// The C library's own initial limit.
#[cfg(target_env = "gnu")]
const LARGE_ALLOCATION: i32 = 128 * 1024;

/// Signals that end or change a running command. They are held back in every thread and waited
/// for by one, so this has to come before any thread is started.
pub struct Signals(SigSet);

impl Signals {
    /// Holds the signals back from now on.
    ///
    /// # Errors
    /// The system refuses, which it never does for valid signals.
    pub fn hold() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        Ok(Signals(signals))
    }

    fn wait(&self) -> io::Result<Signal> {
        Ok(self.0.wait()?)
    }
}

/// Starts asking the container engines that the configuration names, and waits a short time for what they have, so
/// that the first events are as complete as later ones.
///
/// # Errors
/// Its thread cannot be started.
pub fn start_directory(config: &Config) -> io::Result<Directory> {
    let containers = &config.containers;
    let directory = Directory::start(containers.engines.clone(), containers.directory.clone())?;
    directory.settle(ENGINES_MAY_TAKE);
    let is_absent = |engine: &EngineStatus| matches!(engine.state, EngineState::Absent { .. });
    let engines = directory.engines();
    let absent: Vec<String> = engines
        .iter()
        .filter(|engine| is_absent(engine))
        .map(|engine| engine.socket.to_string())
        .collect();
    if !absent.is_empty() {
        info!("no {}; their containers would have only their id", absent.join(", no "));
    }
    Ok(directory)
}

/// The way to tell the event thread something.
pub fn command_channel<C>() -> (SyncSender<C>, Receiver<C>) {
    sync_channel(COMMANDS_AT_MOST)
}

/// Attaches to the kernel and hands every event to `handler` until a command stops it. Signals
/// become commands through `on_signal`. Gives the handler back, and the counts.
///
/// # Errors
/// The host lacks something; nothing is attached then.
pub fn watch<H>(
    config: &Config,
    directory: Directory,
    signals: Signals,
    (sender, commands): (SyncSender<H::Command>, Receiver<H::Command>),
    mut handler: H,
    mut on_signal: impl FnMut(Signal) -> Option<H::Command> + Send + 'static,
    ready: impl FnOnce(usize),
) -> Result<(H, PipelineCounts), LiveError>
where
    H: EventHandler + Send + 'static,
    H::Command: Send + 'static,
{
    return_large_allocations();
    let kernel = KernelSensor::load(KernelOptions {
        ring_buffer_bytes: config.ring_buffer_bytes,
        arguments_limit_bytes: config.arguments_limit_bytes,
        environment: handler.environment(),
        log: match LevelFilter::current() {
            LevelFilter::TRACE => RecordLog::Written,
            _ => RecordLog::Off,
        },
    })?;
    for what in &kernel.disabled {
        warn!("this kernel does not tell {what}; events come without them");
    }
    // A cgroup made inside a container may bear another container's id; the engines know better.
    let mut table = ProcessTable::new(Box::new(move |path| {
        identify(path).and_then(|identity| directory.unmask(identity))
    }));
    table.environment_variables.clone_from(&config.environment_variables);
    let report = scan(&mut table)?;
    if report.unreadable > 0 {
        info!(
            "{} processes ended, or could not be read, while /proc was scanned",
            report.unreadable
        );
    }
    let builder = RecordBuilder::new(host_of(config), Users::start()?);
    table
        .live_processes()
        .for_each(|process| builder.users.learn_from(process, &table));
    let pipeline = Pipeline::new(kernel, table, builder);

    let events = thread::Builder::new()
        .name("events".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let counts = pipeline.run(&commands, &mut handler);
            (handler, counts)
        })?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || forward(&signals, &sender, &mut on_signal))?;
    return_freed_memory();
    return_start_up_code();
    ready(report.found);
    events.join().map_err(|_| LiveError::Panicked)
}

/// What events say of this host. Names in the cluster come from the configuration or else from the environment, where a
/// pod's description can put them.
fn host_of(config: &Config) -> Host {
    let named = |configured: &Option<String>, variable: &str| {
        let from_environment = || std::env::var(variable).ok().filter(|name| !name.is_empty());
        configured.clone().or_else(from_environment)
    };
    let containers = &config.containers;
    Host {
        cluster_name: named(&containers.cluster_name, "TIDEWAITER_CLUSTER_NAME"),
        node_name: named(&containers.node_name, "TIDEWAITER_NODE_NAME"),
        ..Host::read(config.host_name.as_deref())
    }
}

/// Has every large allocation go back to the system when it is freed. The C library would raise the limit from which
/// on it does so to the size of the first one freed, the kernel's type information, and keep up to that much for good.
fn return_large_allocations() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number in the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_ALLOCATION);
    }
}

/// Has the system take back the pages of code that the start has run through; what runs on comes from the file again.
fn return_start_up_code() {
    let Ok(maps) = procfs::process::Process::myself().and_then(|process| process.maps()) else {
        return;
    };
    let here = return_start_up_code as *const () as u64;
    let Some(code) = maps.iter().find(|map| map.address.0 <= here && here < map.address.1) else {
        return;
    };
    if let Some(begin) = NonNull::new(code.address.0 as *mut c_void) {
        let length = (code.address.1 - code.address.0) as usize;
        // SAFETY: code is mapped from the program's file and never written to, so what is read again is the same.
        let _ = unsafe { madvise(begin, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Gives back what reading rules, the kernel's type information and `/proc` left behind in the allocator.
fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: frees unused pages of the allocator, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Sends what signals mean, until nobody takes it any more.
fn forward<C>(signals: &Signals, sender: &SyncSender<C>, on_signal: &mut dyn FnMut(Signal) -> Option<C>) {
    while let Ok(signal) = signals.wait() {
        if on_signal(signal).is_some_and(|command| sender.send(command).is_err()) {
            return;
        }
    }
}
