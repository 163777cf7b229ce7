//! What can be configured, and the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use rule_engine::{DataStreams, FieldType};

use super::containers::ContainersConfig;
use crate::sandbox::{Mode, Places};

/// Read when no file is named, if it exists.
pub(super) const DEFAULT_PATH: &str = "/etc/tidewaiter/tidewaiter.toml";
/// The one rules path that need not exist.
pub(crate) const DEFAULT_RULES_DIRECTORY: &str = "/etc/tidewaiter/rules";

/// Variables that decide what a program loads or what a shell remembers, and hold no secrets.
const ENVIRONMENT_VARIABLES: [&str; 8] = [
    "GLIBC_TUNABLES",
    "HISTCONTROL",
    "HISTFILE",
    "HISTFILESIZE",
    "HISTSIZE",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
];

/// Values that are in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// The file, which need not exist.
    pub(crate) file: PathBuf,
    pub(crate) rules: Vec<PathBuf>,
    pub(crate) stock_rules: bool,
    /// What events count as being in, for the `index` of rules.
    pub(crate) data_streams: DataStreams,
    /// How long a new_terms rule only learns, from the first time it runs.
    pub(crate) learn_for: Duration,
    /// `None`: text on a terminal, JSON otherwise.
    pub(crate) format: Option<Format>,
    pub(crate) state_directory: PathBuf,
    /// `None`: the state directory.
    pub(crate) runtime_directory: Option<PathBuf>,
    /// `None`: no metrics are written.
    pub(crate) metrics_file: Option<PathBuf>,
    /// How often the sensor says that it is alive; zero: never.
    pub(crate) heartbeat: Duration,
    /// What becomes of what threads do not use.
    pub(crate) sandbox: Mode,
    /// `None`: the system's.
    pub(crate) host_name: Option<String>,
    /// Where the host's root is mounted; `None`: where the sensor finds it.
    pub(crate) host_root: Option<PathBuf>,
    pub(crate) containers: ContainersConfig,
    /// A power of two and so a multiple of the page size.
    pub(crate) ring_buffer_bytes: u32,
    pub(crate) arguments_limit_bytes: u32,
    /// Names of environment variables that events may contain, where a rule reads them.
    pub(crate) environment_variables: Vec<String>,
    /// Fields beside those that are known, which rules may name.
    pub(crate) own_fields: BTreeMap<String, FieldType>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: PathBuf::from(DEFAULT_PATH),
            rules: vec![PathBuf::from(DEFAULT_RULES_DIRECTORY)],
            stock_rules: true,
            data_streams: DataStreams::default(),
            learn_for: Duration::from_secs(60 * 60),
            format: None,
            state_directory: PathBuf::from("/var/lib/tidewaiter"),
            runtime_directory: None,
            metrics_file: None,
            heartbeat: Duration::from_secs(60),
            sandbox: Mode::Enforce,
            host_name: None,
            host_root: None,
            containers: ContainersConfig::default(),
            ring_buffer_bytes: 8 * 1024 * 1024,
            arguments_limit_bytes: 32 * 1024,
            environment_variables: ENVIRONMENT_VARIABLES.map(str::to_owned).to_vec(),
            own_fields: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Where a running sensor is asked.
    pub(crate) fn control_directory(&self) -> &Path {
        self.runtime_directory.as_deref().unwrap_or(&self.state_directory)
    }

    /// Where the running sensor needs more than to read files.
    pub(crate) fn places(&self) -> Places {
        let metrics = self.metrics_file.as_deref().map(|file| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        });
        let folders = [
            Some(self.state_directory.as_path()),
            self.runtime_directory.as_deref(),
            metrics,
        ];
        let engines = self.containers.engines();
        Places {
            folders: folders.into_iter().flatten().map(Path::to_owned).collect(),
            engines_are_in_processes: engines.iter().any(|engine| engine.path.starts_with("/proc")),
        }
    }
}

/// How alerts and reports are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}
