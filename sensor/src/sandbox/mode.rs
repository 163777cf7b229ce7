//! What is configured.

use std::path::PathBuf;

/// What becomes of what a role does not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Off,
    /// The kernel logs system calls that would be refused.
    Log,
    /// It is refused.
    Enforce,
}

impl Mode {
    pub(crate) const ALL: [Mode; 3] = [Mode::Off, Mode::Log, Mode::Enforce];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Log => "log",
            Mode::Enforce => "enforce",
        }
    }
}

/// What the configuration says of files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// In which the sensor writes while it runs.
    pub(crate) folders: Vec<PathBuf>,
    /// Whether sockets of engines are reached through another process's root.
    pub(crate) engines_are_in_processes: bool,
}
