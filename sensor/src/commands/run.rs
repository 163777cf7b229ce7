//! `tidewaiter run`: puts the stages together, and says at the end what was seen and what was lost.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rule_engine::EngineOptions;
use rule_engine::diagnostic::Severity;
use rule_engine::rule::RuleStatus;
use rule_engine::schema::fields;
use tracing::{info, warn};

use super::{CommandError, ExitStatus, configured, doctor, style_for};
use crate::agent::signals::Signals;
use crate::agent::start::{AgentError, command_channel, host, start_directory, watch};
use crate::alert::complete::{Completion, complete_from};
use crate::cli::{ColorChoice, RunArguments};
use crate::config::{Config, Format};
use crate::detection::{Command, Detection, Rules};
use crate::history::History;
use crate::kernel::Environment;
use crate::outputs::text::ReasonDetail;
use crate::outputs::{Form, Output, Router, stdout};
use crate::pipeline::EventHandler;
use crate::record::RecordBuilder;
use crate::rule_files::RuleFiles;
use crate::telemetry::counts::Snapshot;
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
    let directory = start_directory(&config).map_err(AgentError::Thread)?;
    let (sender, commands) = command_channel();

    let closed = Arc::new(AtomicBool::new(false));
    let on_closed = {
        let (closed, sender) = (Arc::clone(&closed), sender.clone());
        Box::new(move || {
            closed.store(true, Ordering::Relaxed);
            // The event thread may have ended already.
            let _ = sender.send(Command::Stop);
        })
    };
    let format = arguments
        .format
        .or(config.format)
        .unwrap_or_else(|| format_for(&io::stdout()));
    let (form, metadata_wait) = match format {
        Format::Json => (Form::Json, Duration::ZERO),
        Format::Text => {
            let style = style_for(&io::stdout(), color);
            let detail = match arguments.explain {
                true => ReasonDetail::Full,
                false => ReasonDetail::Summary,
            };
            // A person reads one alert more easily than an alert and its amendment; a program wants it at once.
            (Form::Text { style, detail }, config.containers.metadata_wait)
        }
    };
    let (output, _) = Output::start(stdout::stdout()?, on_closed)?;
    let completion = Completion::new(complete_from(directory.clone()), metadata_wait);
    let (outputs, _) = Router::start(vec![(form, output)], completion)?;
    let engine_options = EngineOptions {
        learn_for_ms: i64::try_from(config.learn_for.as_millis()).unwrap_or(i64::MAX),
    };
    let rule_count = rules.count();
    let detection = Detection::new(
        rules,
        engine_options,
        history,
        directory.clone(),
        outputs,
        config.containers.metadata_wait,
        RecordBuilder::new(host(&config)),
    );
    let metrics = config
        .metrics_file
        .clone()
        .map(|path| Metrics::start(path, directory.clone()));
    let detection = detection.with_metrics(metrics.transpose().map_err(AgentError::Thread)?, dropped_lines.clone());

    let (reloaded, environment) = (config.clone(), detection.environment());
    let on_signal = move |signal| match signal {
        Signal::SIGHUP => match load_rules(&reloaded) {
            Ok(rules) => {
                info!("{} rules are loaded anew", rules.count());
                if rules.reads(fields::PROCESS_ENV_VARS) && environment == Environment::LeftAlone {
                    warn!("a rule reads `process.env_vars`, as none did before: start the sensor anew to have it");
                }
                Some(Command::Rules(Box::new(rules)))
            }
            Err(error) => {
                warn!("the rules stay as they were: {error}");
                None
            }
        },
        _ => Some(Command::Stop),
    };
    let ready = |processes| info!("watching {processes} processes with {rule_count} rules; Ctrl-C ends it");
    let (detection, counts) = watch(
        &config,
        directory.clone(),
        signals,
        (sender, commands),
        detection,
        on_signal,
        ready,
    )?;
    let parts = detection.into_parts();
    let snapshot = Snapshot {
        rules: parts.rules,
        pipeline: counts,
        detection: parts.counts,
        output: parts.outputs.finish(FINISH_LIMIT),
        history: parts.history.close(FINISH_LIMIT),
        log_lines_lost: dropped_lines.count(),
    };
    report::summary(&snapshot);
    report::container_engines(&directory.engines());
    if let Some(metrics) = parts.metrics {
        metrics.finish(snapshot, FINISH_LIMIT);
    }
    if closed.load(Ordering::Relaxed) {
        return Err(CommandError::OutputClosed);
    }
    Ok(ExitStatus::Ok)
}

fn format_for(stream: &impl IsTerminal) -> Format {
    if stream.is_terminal() {
        Format::Text
    } else {
        Format::Json
    }
}

/// Reads and compiles the configured rules; says on stderr what is wrong with which.
fn load_rules(config: &Config) -> Result<Rules, CommandError> {
    let mut files = RuleFiles::of_config(config)?;
    let broken = complain(&files);
    let rules = Rules::compile(files.take_rules());
    if rules.count() == 0 {
        return Err(CommandError::NoRules);
    }
    if broken > 0 {
        warn!("{broken} rules are left out; the others run");
    }
    Ok(rules)
}

/// Says what is wrong with rule files; gives how many do not run.
fn complain(files: &RuleFiles) -> usize {
    let mut left_out = 0;
    for file in &files.files {
        for diagnostic in &file.report.diagnostics {
            let text = diagnostic.render(&file.report.path, &file.text);
            match diagnostic.severity {
                Severity::Error => warn!("{}", text.trim_end()),
                Severity::Warning => info!("{}", text.trim_end()),
            }
        }
        left_out += usize::from(file.report.status != RuleStatus::Ok);
    }
    left_out
}
