//! What `run` and `events` have in common: attach, scan, start the event thread, obey signals.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use container_engines::{Directory, EngineState, EngineStatus};
use nix::sys::signal::Signal;
use thiserror::Error;
use tracing::{info, level_filters::LevelFilter, warn};

use super::memory::{return_freed_memory, return_large_allocations, return_start_up_code};
use super::signals::{Signals, forward};
use crate::{
    config::Config,
    enrich::host::Host,
    enrich::users::Users,
    identity::identify,
    kernel::{KernelError, KernelOptions, KernelSensor, RecordLog},
    pipeline::{EventHandler, Pipeline},
    process::{ProcessTable, scan},
    telemetry::counts::PipelineCounts,
};

/// Commands to the event thread that may wait; more are not sent at once.
const COMMANDS_AT_MOST: usize = 8;
/// How long the start may be delayed for the engines' containers.
const ENGINES_MAY_TAKE: Duration = Duration::from_secs(2);
/// The event thread's stack: the deepest path is the rule engine's, whose nesting is limited.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Why live events cannot be had.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("/proc cannot be read: {0}; it has to be mounted, and in a container be the host's (`--pid=host`)")]
    Proc(#[from] procfs::ProcError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    #[error("the event thread ended unexpectedly; please report this")]
    Panicked,
}

/// Starts asking the container engines that the configuration names, and waits a short time for what they have, so
/// that the first events are as complete as later ones.
///
/// # Errors
/// Its thread cannot be started.
pub(crate) fn start_directory(config: &Config) -> io::Result<Directory> {
    let containers = &config.containers;
    let directory = Directory::start(containers.engines.clone(), containers.directory.clone())?;
    directory.wait_until_synced(ENGINES_MAY_TAKE);
    let is_absent = |engine: &EngineStatus| matches!(engine.state, EngineState::Absent);
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
pub(crate) fn command_channel<C>() -> (SyncSender<C>, Receiver<C>) {
    sync_channel(COMMANDS_AT_MOST)
}

/// Attaches to the kernel and hands every event to `handler` until a command stops it. Signals
/// become commands through `on_signal`. Gives the handler back, and the counts.
///
/// # Errors
/// The host lacks something; nothing is attached then.
pub(crate) fn watch<H>(
    config: &Config,
    directory: Directory,
    signals: Signals,
    (sender, commands): (SyncSender<H::Command>, Receiver<H::Command>),
    mut handler: H,
    mut on_signal: impl FnMut(Signal) -> Option<H::Command> + Send + 'static,
    ready: impl FnOnce(usize),
) -> Result<(H, PipelineCounts), AgentError>
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
        identify(path).and_then(|identity| identity.unmask(|claim| directory.refutes(claim)))
    }));
    table.environment_variables.clone_from(&config.environment_variables);
    let report = scan(&mut table)?;
    if report.unreadable > 0 {
        info!(
            "{} processes ended, or could not be read, while /proc was scanned",
            report.unreadable
        );
    }
    let users = Users::start()?;
    table
        .live_processes()
        .for_each(|process| users.learn_from(process, &table));
    let pipeline = Pipeline::new(kernel, table, users);

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
    events.join().map_err(|_| AgentError::Panicked)
}

/// What events say of this host. Names in the cluster come from the configuration or else from the environment, where a
/// pod's description can put them.
pub(crate) fn host(config: &Config) -> Host {
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
