//! The start: attach, scan, event thread; and the wait for its end.

use std::{
    io,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    sync::mpsc::{self, Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use container_engines::{Directory, EngineState, EngineStatus};
use thiserror::Error;
use tracing::{info, level_filters::LevelFilter, warn};

use super::health::Vitals;
use super::memory::{return_freed_memory, return_large_allocations, return_start_up_code};
use super::notify;
use super::request::ReloadRequest;
use super::signals::Signals;
use super::threads::{Threads, lost};
use super::watch::Watched;
use crate::{
    config::Config,
    enrich::host::{Host, HostNames},
    enrich::node::NodeRoot,
    enrich::users::Users,
    identity::identify,
    kernel::{KernelError, KernelOptions, KernelSensor, RecordLog, Task},
    outputs::OnClosed,
    pipeline::{Canary, EventHandler, Pipeline, Progress},
    process::{ProcessTable, enter_hosts_view, has_hosts_pids, own_pid, scan},
    sandbox::{self, Role},
    telemetry::counts::PipelineCounts,
};

/// Updates to the event thread that may wait.
const UPDATES_AT_MOST: usize = 8;
/// How long the start may be delayed for the engines' containers.
const ENGINES_MAY_TAKE: Duration = Duration::from_secs(2);
/// The event thread's stack: the deepest path is the rule engine's, whose nesting is limited.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Why live events cannot be had, or not any longer.
#[derive(Debug, Error)]
pub(crate) enum AgentError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("/proc cannot be read: {0}; it has to be mounted, and in a container be the host's (`--pid=host`)")]
    Proc(#[from] procfs::ProcError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    #[error("the thread `{0}` ended unexpectedly; please report this")]
    LostThread(String),
}

/// What runs before the kernel side is attached. `Update` is what the event handler takes.
pub(crate) struct Agent<'a, Update> {
    config: &'a Config,
    signals: Signals,
    pub(crate) vitals: Vitals,
    pub(crate) directory: Directory,
    /// Further ones may be added.
    pub(crate) threads: Threads,
    pub(crate) progress: Progress,
    /// This process, as the kernel numbers it.
    own_pid: Option<u32>,
    /// `None`: this process cannot tell its own children among others'.
    pub(crate) canary: Option<Canary>,
    sender: SyncSender<Update>,
    updates: Receiver<Update>,
}

/// A handler that has had all events.
pub(crate) struct Stopped<Handler: EventHandler> {
    pub(crate) handler: Handler,
    pipeline: Pipeline,
    updates: Receiver<Handler::Update>,
    pub(crate) counts: PipelineCounts,
    /// An error if the sensor had to stop, to be returned after everything else is reported.
    pub(crate) reason: Result<(), AgentError>,
}

impl<Handler: EventHandler> Stopped<Handler> {
    /// Hands the handler what other threads have sent until now.
    pub(crate) fn take_last_updates(&mut self) {
        self.pipeline.take_last_updates(&self.updates, &mut self.handler);
    }
}

impl<'a, Update: Send + 'static> Agent<'a, Update> {
    /// Starts asking the container engines that the configuration names, and waits a short time for what they have, so
    /// that the first events are as complete as later ones.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(crate) fn start(config: &'a Config, signals: Signals) -> Result<Self, AgentError> {
        let containers = &config.containers;
        let start = || Directory::start(containers.engines(), containers.directory.clone());
        let directory = sandbox::within(Role::Engines, start)??;
        let mut threads = Threads::default();
        threads.watch(Arc::clone(&signals.thread));
        if !containers.engines().is_empty() {
            threads.watch(directory.thread());
        }
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
        let (sender, updates) = sync_channel(UPDATES_AT_MOST);
        let own_pid = own_pid();
        let progress = Progress::new();
        Ok(Agent {
            config,
            vitals: Vitals::new(progress.clone(), signals.reload.clone()),
            signals,
            directory,
            threads,
            progress,
            own_pid,
            canary: own_pid.map(Canary::new),
            sender,
            updates,
        })
    }

    /// Where updates to the event handler are sent.
    pub(crate) fn updates(&self) -> SyncSender<Update> {
        self.sender.clone()
    }

    /// What ends the sensor when nobody reads its output any more, and whether that has happened.
    pub(crate) fn stop_on_closed(&self) -> (Arc<AtomicBool>, OnClosed) {
        let is_closed = Arc::new(AtomicBool::new(false));
        let (closed, stop) = (Arc::clone(&is_closed), self.signals.stop.clone());
        let on_closed = move || {
            closed.store(true, Ordering::Relaxed);
            stop.request();
        };
        (is_closed, Box::new(on_closed))
    }

    /// Attaches to the kernel and hands every event to `handler` until a signal or somebody else stops it, or a thread is
    /// lost. Whoever asks for a reload has the handler updated with what `reload` gives; so do
    /// changes of what is `watched`. `describe` says, for so many processes, what is
    /// being done.
    ///
    /// # Errors
    /// The host lacks something; nothing is attached then. Or the event thread itself is lost.
    pub(crate) fn run<H>(
        mut self,
        mut handler: H,
        reload: impl FnMut(ReloadRequest) -> Option<Update> + Send + 'static,
        watched: Option<Watched>,
        describe: impl FnOnce(usize) -> String,
    ) -> Result<Stopped<H>, AgentError>
    where
        H: EventHandler<Update = Update> + Send + 'static,
    {
        return_large_allocations();
        let own_pid = self.own_pid;
        if own_pid.is_none() {
            warn!(
                "signals to the sensor are not seen, for it runs in a pid namespace of its own; `--pid=host` changes that"
            );
        }
        let mut kernel = KernelSensor::load(KernelOptions {
            ring_buffer_bytes: self.config.ring_buffer_bytes,
            arguments_limit_bytes: self.config.arguments_limit_bytes,
            environment: handler.environment(),
            sensor_pid: own_pid,
            log: match LevelFilter::current() {
                LevelFilter::TRACE => RecordLog::Written,
                _ => RecordLog::Off,
            },
        })?;
        for what in &kernel.disabled {
            warn!("this kernel does not tell {what}; events come without them");
        }
        let mut table = ProcessTable::new(Box::new(self.directory.clone()));
        table.arguments_limit = self.config.arguments_limit_bytes as usize;
        table
            .environment_variables
            .clone_from(&self.config.environment_variables);
        enter_hosts_view();
        let running = if has_hosts_pids() {
            None
        } else {
            running_below(&mut kernel, &self.directory)
        };
        let report = scan(&mut table, running, &mut || kernel.records.hold())?;
        if report.unreadable > 0 {
            info!(
                "{} processes ended, or could not be read, while /proc was scanned",
                report.unreadable
            );
        }
        let users = Users::start(&node_root(self.config))?;
        self.threads.watch(users.thread());
        table.boxes = users.boxes();
        table
            .live_processes()
            .for_each(|process| users.learn_from(process, &table));
        let mut pipeline = Pipeline::new(kernel, table, users, self.progress, self.canary, own_pid);

        let (end, running) = mpsc::channel();
        let Signals {
            stop,
            reload: requests,
            reloads,
            ..
        } = self.signals;
        let (updates, to_stop) = (self.updates, stop.clone());
        let events = thread::Builder::new()
            .name("events".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _end = end;
                sandbox::enter(Role::Events);
                let counts = pipeline.run(&to_stop, &updates, &mut handler);
                // Handler and pipeline keep watched threads running, so they outlive the supervision.
                (handler, pipeline, updates, counts)
            })?;
        self.threads.watch(reload_on(reloads, self.sender, reload)?);
        if let Some(watched) = watched {
            self.threads.watch(watched.start(requests)?);
        }
        return_freed_memory();
        return_start_up_code();
        sandbox::enter(Role::Main);
        let numbers = self.threads.numbers(&events);
        let status = describe(report.found);
        info!("{status}; Ctrl-C ends it");
        notify::ready(&status);
        self.vitals.watches(&status);
        let lost_thread = self
            .threads
            .supervise(&events, &numbers, &running, &self.vitals, || stop.request());
        notify::stopping();
        if lost_thread.as_deref() == events.thread().name() {
            // It was made to end, and so gives nothing.
            return Err(AgentError::LostThread("events".to_owned()));
        }
        let (handler, pipeline, updates, counts) = events
            .join()
            .map_err(|_| AgentError::LostThread(lost(Some("events"))))?;
        Ok(Stopped {
            handler,
            pipeline,
            updates,
            counts,
            reason: lost_thread.map_or(Ok(()), |thread| Err(AgentError::LostThread(thread))),
        })
    }
}

/// Starts the thread that sends what `reload` gives each time that something comes. Reading may take any time, and the
/// event thread may be behind: nobody waits for this one.
fn reload_on<Update: Send + 'static>(
    reloads: Receiver<ReloadRequest>,
    updates: SyncSender<Update>,
    mut reload: impl FnMut(ReloadRequest) -> Option<Update> + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("reload".to_owned()).spawn(move || {
        sandbox::enter(Role::Rules);
        for request in reloads {
            if let Some(update) = reload(request) {
                // The event thread takes no more when it ends; it is over then.
                let _ = updates.send(update);
            }
        }
    })
}

/// What events say of this host.
pub(crate) fn host(config: &Config) -> Host {
    let names = HostNames {
        host: config.host_name.clone(),
        node: config.containers.node_name.clone(),
        cluster: config.containers.cluster_name.clone(),
    };
    Host::read(&node_root(config), names)
}

/// Where this host's own files are.
pub(crate) fn node_root(config: &Config) -> NodeRoot {
    NodeRoot::find(config.host_root.as_deref())
}

/// The processes that run in a pid namespace that is not the first one. If it is in a container, the engines that were
/// configured as the host's are that one's, as in a node of kind.
fn running_below(kernel: &mut KernelSensor, directory: &Directory) -> Option<Vec<Task>> {
    let running = kernel.running_processes();
    let running = running.inspect_err(|error| warn!("processes from before the start are not known: {error}"));
    let running = running.ok()?;
    let own = running
        .iter()
        .find(|task| task.record.visible_pid == std::process::id());
    let container = own.and_then(|own| identify(&own.cgroup));
    if let Some(node) = container.and_then(|container| container.nested_in) {
        info!("the host is the container {}", node.id);
        directory.place_inside(&node.id);
    }
    Some(running)
}
