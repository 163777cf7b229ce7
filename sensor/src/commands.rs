//! What each command does with what was typed, and how it ends.
//!
//! A command returns an [`ExitStatus`] or a [`CommandError`]; results go to
//! stdout, everything else to stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::agent::share_arenas;
use crate::cli::{ColorChoice, Command, CommandLine, SensorArguments};
use crate::config::{Config, ConfigError};
use crate::outputs::text::Style;
use crate::pipeline::{CANARY_ARGUMENT, act_as_canary};
use crate::telemetry::log;
use error::{CommandError, ExitStatus};

pub(crate) mod config;
pub(crate) mod doctor;
mod error;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod learn;
mod progress;
mod recording;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod run;

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    // What the sensor tries its hooks with; it is to cost next to nothing.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == CANARY_ARGUMENT)
    {
        act_as_canary();
        return ExitStatus::Ok.into();
    }
    share_arenas();
    let line = CommandLine::parse();
    let log = match log::start(line.log) {
        Ok(log) => log,
        Err(error) => {
            // With stderr gone there is nobody left to report to.
            let _ = writeln!(io::stderr(), "tidewaiter: cannot write to stderr: {error}");
            return ExitStatus::HostLacks.into();
        }
    };
    let result = match &line.command {
        Command::Replay(arguments) => replay::main(arguments),
        Command::Learn(arguments) => learn::main(arguments),
        Command::Rules(command) => rules::main(command),
        Command::Config => config::main(),
        Command::Run(arguments) => run::main(arguments, line.color, log.dropped.clone()),
        Command::Events(arguments) => events::main(arguments, log.dropped.clone()),
        Command::Health(arguments) => health::main(arguments),
        Command::Reload(arguments) => health::reload(arguments),
        Command::Doctor(arguments) => doctor::main(arguments, line.color),
    };
    let (status, last_words) = match result {
        Ok(status) => (status, String::new()),
        Err(error) => (error.exit_status(), format!("tidewaiter: {}\n", with_sources(&error))),
    };
    log.finish(&last_words);
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
