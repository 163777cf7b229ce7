//! How commands end: exit statuses and errors.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::doctor::check::LackingHost;
use crate::agent::start::AgentError;
use crate::config::ConfigError;
use crate::history::HistoryError;
use crate::rule_files::RuleFilesError;

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
    #[error("{number} {what} were not written: the output was too slow, or took nothing at the end")]
    NotWritten { number: u64, what: &'static str },
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
    pub(crate) fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Config(_)
            | Self::Rules(_)
            | Self::Input { .. }
            | Self::NothingToLearn
            | Self::UnknownRule { .. }
            | Self::History(_) => ExitStatus::Usage,
            Self::Agent(AgentError::LostThread(_)) | Self::OutputClosed | Self::NotWritten { .. } | Self::Output(_) => {
                ExitStatus::Findings
            }
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
