//! An act of the sensor's own that has to come through every hook: the sensor starts itself with a word that has it end
//! at once, and the event thread looks for the fork, the exec with all its arguments, a signal to the sensor, the exit, and
//! a rule's match.
//!
//! What such a child does is known by who made it, which the kernel tells, and by a word that nobody can foresee. It is
//! taken out of the stream: handlers, and so rules, outputs and counts, do not see it. Nobody else's process passes for
//! one: the sensor starts no others, and of a child one exec alone is taken out.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;
use rule_engine::{DataStreams, Engine, EngineOptions, MemoryHistory, Record, Rules, parse_rule};
use sensor_abi::{HOOKS, SignalRecord};

use crate::decode::KernelEvent;
use crate::enrich::host::Host;
use crate::event::Event;
use crate::process::ProcessKey;
use crate::record::{RecordBuilder, SCHEMA, parse_options};

/// The argument that has the program [do no more than a canary does](act).
pub(crate) const CANARY_ARGUMENT: &str = "canary";
/// What a canary sends to the sensor; the sensor does not notice.
const SIGNAL: Signal = Signal::SIGURG;
const LAST_ARGUMENT: &str = "end-of-the-canary";
/// So much more than fits into an exec's own record that the arguments continue in another one.
const PADDING_BYTES: usize = sensor_abi::ARGUMENTS_CHUNK + 1024;
/// Children that are remembered: of the present flight and of those that came late.
const CHILDREN_AT_MOST: usize = 4;

/// Matches the exec of a canary whose arguments came through to the last.
const RULE: &str = r#"
[rule]
name = "Canary"
description = "The sensor tries itself."
rule_id = "1d9f7e5c-9f0e-4b41-9c39-2a4a0a5c8b11"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and process.args == "canary" and process.args == "end-of-the-canary"'
"#;

/// Shared between the event thread and whoever sends canaries.
#[derive(Clone)]
pub(crate) struct Canary {
    /// This process, as the kernel numbers it.
    own_pid: u32,
    flight: Arc<Mutex<Flight>>,
}

#[derive(Default)]
struct Flight {
    word: String,
    children: VecDeque<Child>,
    seen: Seen,
}

struct Child {
    key: ProcessKey,
    has_run: bool,
}

/// What has come through of the present flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    fork: bool,
    exec: bool,
    arguments: bool,
    signal: bool,
    exit: bool,
    rule: bool,
}

impl Seen {
    /// The programs that have not reported, and `rules` if no rule matched although there was something to match.
    pub(crate) fn blind(self) -> Vec<&'static str> {
        let [fork, exec, exit, signal] = &HOOKS;
        // The last one carries the arguments.
        let arguments = exec.continuations.last().map_or(exec.program, |last| last.program);
        let parts = [
            (self.fork, fork.program),
            (self.exec, exec.program),
            (self.arguments || !self.exec, arguments),
            (self.signal, signal.program),
            (self.exit, exit.program),
            (self.rule || !self.arguments, "rules"),
        ];
        parts
            .into_iter()
            .filter(|(seen, _)| !seen)
            .map(|(_, name)| name)
            .collect()
    }
}

impl Canary {
    /// `own_pid` is this process, as the kernel numbers it.
    pub(crate) fn new(own_pid: u32) -> Self {
        Canary {
            own_pid,
            flight: Arc::default(),
        }
    }

    /// Begins a flight; gives the arguments of the child.
    ///
    /// # Errors
    /// The kernel gives no random word.
    pub(crate) fn begin(&self) -> io::Result<[String; 4]> {
        let word = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?
            .trim()
            .to_owned();
        let mut flight = self.lock();
        flight.word.clone_from(&word);
        flight.seen = Seen::default();
        let padding = "x".repeat(PADDING_BYTES);
        Ok([CANARY_ARGUMENT.to_owned(), word, padding, LAST_ARGUMENT.to_owned()])
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().seen
    }

    /// Whether the event may be a canary's: it is this process's child's. Costs every event a comparison.
    pub(super) fn may_be(&self, event: &KernelEvent) -> bool {
        let creator = match event {
            KernelEvent::Fork(fork) => fork.creator_pid,
            KernelEvent::Exec(exec) => exec.fixed.process.parent_pid,
            KernelEvent::Exit(exit) => exit.process.parent_pid,
            KernelEvent::Signal(signal) => signal.process.parent_pid,
        };
        creator == self.own_pid
    }

    /// Notes what has come through; whether the event is to be taken out of the stream.
    pub(super) fn take(&self, kernel_event: &KernelEvent, event: &Event<'_>, watcher: &mut Watcher) -> bool {
        let key = event.process.key;
        let mut flight = self.lock();
        match kernel_event {
            KernelEvent::Fork(_) => {
                flight.seen.fork = true;
                flight.children.push_back(Child { key, has_run: false });
                if flight.children.len() > CHILDREN_AT_MOST {
                    flight.children.pop_front();
                }
                true
            }
            KernelEvent::Exec(_) => {
                let image = event.process.image();
                let arguments: Vec<&str> = image.args().iter().collect();
                if arguments.get(2).is_some_and(|word| *word == flight.word) {
                    flight.seen.exec = true;
                    flight.seen.arguments = arguments.last() == Some(&LAST_ARGUMENT);
                    flight.seen.rule = watcher.matches(event);
                }
                let child = flight.children.iter_mut().find(|child| child.key == key);
                child.is_some_and(|child| !std::mem::replace(&mut child.has_run, true))
            }
            KernelEvent::Exit(_) => {
                flight.seen.exit = true;
                flight.children.iter().any(|child| child.key == key)
            }
            // Of no process's doing that a handler sees: [`Self::take_signal`].
            KernelEvent::Signal(_) => false,
        }
    }

    /// As [`Self::take`], of a signal.
    pub(super) fn take_signal(&self, signal: &SignalRecord) -> bool {
        let is_canary = signal.process.parent_pid == self.own_pid && signal.signal == SIGNAL as i32;
        if is_canary {
            self.lock().seen.signal = true;
        }
        is_canary
    }

    fn lock(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the started program does before it ends.
pub(crate) fn act() {
    // The sensor's other hooks are tried all the same.
    let _ = kill(getppid(), SIGNAL);
}

/// The rule that a canary has to match, on the event thread.
pub(super) struct Watcher {
    engine: Engine,
    builder: RecordBuilder,
    record: Record,
}

impl Watcher {
    pub(super) fn new() -> Self {
        let rule = parse_rule(RULE, &parse_options(DataStreams::default()));
        Watcher {
            engine: Engine::new(
                Rules::compile(&SCHEMA, rule.into_iter().collect()),
                EngineOptions::default(),
            ),
            builder: RecordBuilder::new(Host::default()),
            record: Record::with_schema(&SCHEMA),
        }
    }

    fn matches(&mut self, event: &Event<'_>) -> bool {
        self.builder.fill(&mut self.record, event);
        let mut is_match = false;
        self.engine
            .evaluate(&self.record, &mut MemoryHistory::default(), &mut |_| is_match = true);
        is_match
    }
}
