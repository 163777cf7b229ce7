//! `tidewaiter run`: puts the stages together, and says at the end what was seen and what was lost.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rule_engine::EngineOptions;

use super::{CommandError, ExitStatus, configured, doctor, style_for};
use crate::agent::handler::Alerting;
use crate::agent::reload::{load_rules, reload};
use crate::agent::signals::Signals;
use crate::agent::start::{Agent, AgentError, Stopped, host};
use crate::alert::complete::{Completion, complete_from};
use crate::cli::{ColorChoice, RunArguments};
use crate::config::{Config, Format};
use crate::detection::Detection;
use crate::history::History;
use crate::outputs::text::ReasonDetail;
use crate::outputs::{Form, Output, Router, stdout};
use crate::pipeline::{Command, EventHandler};
use crate::record::RecordBuilder;
use crate::telemetry::log::DroppedLines;
use crate::telemetry::prometheus::Metrics;
use crate::telemetry::report;

/// How long the output may take for what is left when the sensor ends.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// Runs the sensor until a signal, or until nobody reads the output any more.
pub(crate) fn main(
    arguments: &RunArguments,
    color: ColorChoice,
    dropped_lines: DroppedLines,
) -> Result<ExitStatus, CommandError> {
    let signals = Signals::hold().map_err(AgentError::Thread)?;
    let config = configured(&arguments.sensor)?;
    doctor::require(&config)?;
    let rules = load_rules(&config)?;
    let history = History::open(&config.state_directory, rules.longest_window())?;
    let mut agent = Agent::start(&config, signals)?;
    agent.threads.watch(history.thread());

    let closed = Arc::new(AtomicBool::new(false));
    let on_closed = {
        let (closed, commands) = (Arc::clone(&closed), agent.commands());
        Box::new(move || {
            closed.store(true, Ordering::Relaxed);
            // The event thread may have ended already.
            let _ = commands.send(Command::Stop);
        })
    };
    let (form, metadata_wait) = form(arguments, &config, color);
    let output = Output::start(stdout::stdout()?, on_closed)?;
    agent.threads.watch(output.thread());
    let completion = Completion::new(complete_from(agent.directory.clone()), metadata_wait);
    let outputs = Router::start(vec![(form, output)], completion)?;
    agent.threads.watch(outputs.thread());

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
    );

    let directory = agent.directory.clone();
    let reload = reload(config.clone(), handler.environment());
    let Stopped {
        handler,
        counts,
        reason,
    } = agent.run(handler, reload, |processes| {
        format!("watching {processes} processes with {rule_count} rules")
    })?;
    handler.finish(counts, FINISH_LIMIT);
    report::container_engines(&directory.engines());
    reason?;
    if closed.load(Ordering::Relaxed) {
        return Err(CommandError::OutputClosed);
    }
    Ok(ExitStatus::Ok)
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
