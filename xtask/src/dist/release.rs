//! What is released: its version, and the commit that it is of.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{cargo_metadata, output_of, repository};

/// Of the sources as they are.
pub(crate) struct Release {
    pub version: String,
    pub description: String,
    pub licence: String,
    /// Where the sources are published, if they are.
    pub source: Option<String>,
    pub revision: String,
    /// When the commit was made, in seconds; the time of every file in every artifact.
    pub time: u64,
}

impl Release {
    pub(crate) fn of_repository() -> Result<Self> {
        let metadata: Value = serde_json::from_str(&output_of(&mut cargo_metadata())?)?;
        let packages = metadata["packages"].as_array().context("cargo names no packages")?;
        let sensor = packages
            .iter()
            .find(|package| package["name"] == "sensor" && package["source"].is_null())
            .context("cargo knows no package `sensor`")?;
        let text = |key: &str| sensor[key].as_str().map(str::to_owned);
        let time = match env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        Ok(Self {
            version: text("version").context("no version")?,
            description: text("description").context("no description")?,
            licence: text("license").context("no licence")?,
            source: text("repository"),
            revision: git(&["rev-parse", "HEAD"])?,
            time: time.parse().with_context(|| format!("`{time}` is no time"))?,
        })
    }

    /// The time as RFC 3339 writes it.
    pub(crate) fn timestamp(&self) -> Result<String> {
        Ok(jiff::Timestamp::from_second(i64::try_from(self.time)?)?.to_string())
    }
}

fn git(arguments: &[&str]) -> Result<String> {
    let said = output_of(Command::new("git").current_dir(repository()).args(arguments))?;
    Ok(said.trim_end().to_owned())
}
