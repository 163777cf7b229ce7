//! What each command does with what was typed, and how it ends.
//!
//! The only place that knows exit statuses. A command returns an [`ExitStatus`] or a [`CommandError`]; results go to
//! stdout, everything else to stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::agent::start::AgentError;
use crate::cli::{ColorChoice, Command, CommandLine, SensorArguments};
use crate::config::{Config, ConfigError};
use crate::history::HistoryError;
use crate::outputs::text::Style;
use crate::rule_files::RuleFilesError;
use crate::telemetry::log;
use doctor::LackingHost;

pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod learn;
mod recording;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod run;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Ok = 0,
    /// Findings, a failed check, or an output that could not be written.
    Findings = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The host lacks something required.
    HostLacks = 3,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rules(#[from] RuleFilesError),
    #[error("cannot read `{path}`")]
    Input { path: PathBuf, source: io::Error },
    #[error("the output was closed before everything was written")]
    OutputClosed,
    #[error("no rule that runs is of the type new_terms, so there is nothing to learn")]
    NothingToLearn,
    #[error("no rule that runs has the id `{rule_id}`; `tidewaiter rules list` shows the ids")]
    UnknownRule { rule_id: String },
    #[error(transparent)]
    LackingHost(#[from] LackingHost),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl CommandError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Config(_)
            | Self::Rules(_)
            | Self::Input { .. }
            | Self::NothingToLearn
            | Self::UnknownRule { .. }
            | Self::History(_) => ExitStatus::Usage,
            Self::Agent(AgentError::LostThread(_)) | Self::OutputClosed | Self::Output(_) => ExitStatus::Findings,
            Self::LackingHost(_) | Self::Agent(_) => ExitStatus::HostLacks,
        }
    }
}

impl From<io::Error> for CommandError {
    /// Of an error of writing to stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    let log = log::start(line.log);
    let result = match &line.command {
        Command::Replay(arguments) => replay::main(arguments),
        Command::Learn(arguments) => learn::main(arguments),
        Command::Rules(command) => rules::main(command),
        Command::Config => config::main(),
        Command::Run(arguments) => run::main(arguments, line.color, log.dropped.clone()),
        Command::Events(arguments) => events::main(arguments),
        Command::Doctor(arguments) => doctor::main(arguments, line.color),
    };
    drop(log);
    let status = result.unwrap_or_else(|error| {
        // With stderr gone there is nobody left to tell.
        let _ = writeln!(io::stderr(), "tidewaiter: {}", with_sources(&error));
        error.exit_status()
    });
    status.into()
}

/// The configuration, with the rules that were named in place of its own.
fn configured(arguments: &SensorArguments) -> Result<Config, ConfigError> {
    let mut config = Config::load(arguments.config.config.as_deref())?;
    if !arguments.rules.is_empty() {
        config.rules.clone_from(&arguments.rules);
    }
    Ok(config)
}

/// Whether what is written to this stream is coloured.
pub(crate) fn style_for(stream: &impl IsTerminal, choice: ColorChoice) -> Style {
    let wanted = match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // https://no-color.org: set and not empty.
        ColorChoice::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal(),
    };
    if wanted { Style::Colored } else { Style::Plain }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
