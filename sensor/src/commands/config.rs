//! `tidewaiter config`: the default configuration, with its comments.

use std::io::{self, Write};

use super::error::{CommandError, ExitStatus};
use crate::config::DEFAULT_TOML;

pub(crate) fn main() -> Result<ExitStatus, CommandError> {
    io::stdout().write_all(DEFAULT_TOML.as_bytes())?;
    Ok(ExitStatus::Ok)
}
