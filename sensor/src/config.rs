//! The configuration: what the environment and the file say, checked, with a default for what they do not say.
//!
//! Read once at the start of a command. `RawConfig` is the file as written; a [`Config`] can only come from
//! [`Config::default`] or [`Config::load`], so whoever holds one holds values that are in range.
//! `config/default.toml` is what users read and equals the default; a test holds that.

mod change;
mod containers;
mod environment;
mod file;
mod problem;
mod settings;
mod unknown_keys;

pub(crate) use containers::ContainersConfig;
pub(crate) use file::ConfigError;
pub(crate) use problem::parse_duration;
pub(crate) use settings::{Config, DEFAULT_RULES_DIRECTORY, Format};
pub(crate) use unknown_keys::DEFAULT_TOML;

#[cfg(test)]
mod tests;
