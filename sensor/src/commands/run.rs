//! `tidewaiter run`: puts the stages together, and says at the end what was seen and what was lost.

use std::collections::VecDeque;
use std::fs::DirBuilder;
use std::io::{self, IsTerminal};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use rule_engine::{EngineOptions, Record};
use tracing::warn;

use super::{CommandError, ExitStatus, configured, doctor, style_for};
use crate::agent::handler::{Alerting, Update};
use crate::agent::health::Vitals;
use crate::agent::last_run::RunFile;
use crate::agent::notices::{NoticeSources, Notices, Outlet};
use crate::agent::reload::{Loaded, Reloading, load_rules};
use crate::agent::signals::Signals;
use crate::agent::start::{Agent, AgentError, Stopped, host};
use crate::agent::watch::Watched;
use crate::alert::complete::{Completion, complete_from};
use crate::cli::{ColorChoice, RunArguments};
use crate::config::{Config, Format};
use crate::control::Control;
use crate::detection::Detection;
use crate::history::History;
use crate::notice::{self, Notice};
use crate::outputs::text::ReasonDetail;
use crate::outputs::{Form, Output, Router, RouterInput, stdout};
use crate::pipeline::EventHandler;
use crate::record::RecordBuilder;
use crate::sandbox;
use crate::telemetry::counts::OutputCounts;
use crate::telemetry::log::DroppedLines;
use crate::telemetry::prometheus::Metrics;
use crate::telemetry::report;

/// How long the output may take for what is left when the sensor ends.
const FINISH_LIMIT: Duration = Duration::from_secs(3);
/// What the sensor says of itself that may wait for the rules to look at it; past it the oldest is left out.
const FOR_RULES_AT_MOST: usize = 256;

/// Runs the sensor until a signal, or until nobody reads the output any more.
pub(crate) fn main(
    arguments: &RunArguments,
    color: ColorChoice,
    dropped_lines: DroppedLines,
) -> Result<ExitStatus, CommandError> {
    let config = configured(&arguments.sensor)?;
    sandbox::begin(config.sandbox, config.places());
    let signals = Signals::hear().map_err(AgentError::Thread)?;
    doctor::require(&config)?;
    let watched = Watched::new(config.watched());
    let Loaded { rules, broken } = load_rules(&config)?;
    let history = History::open_or_stand_by(&config.state_directory, rules.longest_window())?;
    let stands_by = history.stands_by();
    // The history has the directory for itself.
    let (run_file, last_alive_ns) =
        RunFile::begin(&config.state_directory, history.state()).map_err(AgentError::Thread)?;
    let mut agent = Agent::start(&config, signals)?;
    agent.threads.watch(run_file.thread());
    agent.threads.watch(history.thread());
    agent.vitals.set_history(history.state());
    agent.vitals.set_rules(broken.problem());
    let control = answer_questions(&config, agent.vitals.clone());
    if let Some(control) = &control {
        agent.threads.watch(control.thread());
    }

    let (closed, on_closed) = agent.stop_on_closed();
    let (form, metadata_wait) = form(arguments, &config, color);
    let output = Output::start(stdout::stdout()?, on_closed)?;
    agent.threads.watch(output.thread());
    let completion = Completion::new(complete_from(agent.directory.clone()), metadata_wait);
    let outputs = Router::start(vec![(form, output)], completion)?;
    agent.threads.watch(outputs.thread());
    let sources = NoticeSources {
        builder: RecordBuilder::new(host(&config)),
        directory: agent.directory.clone(),
        progress: agent.progress.clone(),
        beat: agent.vitals.notices().clone(),
        canary: agent.canary.clone(),
        dropped_lines: dropped_lines.clone(),
        alive: Some(run_file.note()),
        heartbeat: config.heartbeat,
    };
    let outlet = AlertStream {
        outputs: outputs.input(),
        rules: agent.updates(),
        for_rules: VecDeque::new(),
    };
    let notices = Notices::start(sources, outlet).map_err(AgentError::Thread)?;
    agent.threads.watch(notices.thread());
    if let Some(last_alive_ns) = last_alive_ns {
        notice::raise_since(Notice::EndedUncleanly, last_alive_ns);
    }

    let metrics = match &config.metrics_file {
        Some(path) => {
            let metrics = Metrics::start(path.clone(), agent.directory.clone()).map_err(AgentError::Thread)?;
            agent.threads.watch(metrics.thread());
            Some(metrics)
        }
        None => None,
    };
    let learn_for_ms = i64::try_from(config.learn_for.as_millis()).unwrap_or(i64::MAX);
    let options = EngineOptions::default().with_learn_for_ms(learn_for_ms);
    let rule_count = rules.count();
    let detection = Detection::new(rules, options, agent.directory.clone(), config.containers.metadata_wait);
    let handler = Alerting::new(
        detection,
        RecordBuilder::new(host(&config)),
        history,
        outputs,
        metrics,
        dropped_lines,
        agent.vitals.clone(),
    );

    let directory = agent.directory.clone();
    let named = arguments.sensor.clone();
    let mut reloading = Reloading {
        load: move || configured(&named),
        config: config.clone(),
        broken,
        environment: handler.environment(),
        vitals: agent.vitals.clone(),
        watched: watched.clone(),
    };
    let reload = move |request| reloading.reload(request);
    let stopped = agent.run(handler, reload, Some(watched), |processes| {
        let watching = format!("watching {processes} processes with {rule_count} rules");
        match stands_by {
            true => format!(
                "standing by: another tidewaiter has the state directory `{}`; until that ends it alone alerts; {watching}",
                config.state_directory.display()
            ),
            false => watching,
        }
    });
    notices.finish(FINISH_LIMIT);
    let mut stopped = stopped?;
    // Who had it end, for the rules to look at.
    stopped.take_last_updates();
    let Stopped {
        handler,
        counts,
        reason,
        ..
    } = stopped;
    let written = handler.finish(counts, FINISH_LIMIT);
    // Whoever is ended at once before here has lost what waited to be written, and the next start says so.
    run_file.end(FINISH_LIMIT);
    report::container_engines(&directory.engines());
    reason?;
    if closed.load(Ordering::Relaxed) {
        return Err(CommandError::OutputClosed);
    }
    match written.refused + written.lost {
        0 => Ok(ExitStatus::Ok),
        number => Err(CommandError::NotWritten { number, what: "alerts" }),
    }
}

/// Answers what this sensor is asked. One that cannot be asked runs nevertheless.
fn answer_questions(config: &Config, vitals: Vitals) -> Option<Control> {
    let directory = config.control_directory();
    let started = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| Control::start(directory, vitals));
    started
        .inspect_err(|error| {
            warn!(
                "`tidewaiter health` and `tidewaiter reload` cannot ask this sensor: no socket in `{}`: {error}",
                directory.display()
            );
        })
        .ok()
}

/// Has what the sensor says of itself written among the alerts, and looked at by the rules.
struct AlertStream {
    outputs: RouterInput,
    rules: SyncSender<Update>,
    /// Not yet taken by the event thread, which may be behind.
    for_rules: VecDeque<Box<Record>>,
}

impl Outlet for AlertStream {
    fn tell(&mut self, record: &Record) -> bool {
        self.for_rules.push_back(Box::new(record.clone()));
        if self.for_rules.len() > FOR_RULES_AT_MOST {
            self.for_rules.pop_front();
        }
        while let Some(record) = self.for_rules.pop_front() {
            if let Err(TrySendError::Full(Update::Notice(record))) = self.rules.try_send(Update::Notice(record)) {
                self.for_rules.push_front(record);
                break;
            }
        }
        self.outputs.offer_notice(record.to_document())
    }

    fn counts(&self) -> OutputCounts {
        self.outputs.counts()
    }
}

/// How alerts are written, and how long one may wait for its container's metadata.
fn form(arguments: &RunArguments, config: &Config, color: ColorChoice) -> (Form, Duration) {
    let stdout = io::stdout();
    let default = match stdout.is_terminal() {
        true => Format::Text,
        false => Format::Json,
    };
    match arguments.format.or(config.format).unwrap_or(default) {
        Format::Json => (Form::Json, Duration::ZERO),
        Format::Text => {
            let style = style_for(&stdout, color);
            let detail = match arguments.explain {
                true => ReasonDetail::Full,
                false => ReasonDetail::Summary,
            };
            // A person reads one alert more easily than an alert and its amendment; a program wants it at once.
            (Form::Text { style, detail }, config.containers.metadata_wait)
        }
    }
}
