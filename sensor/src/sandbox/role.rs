//! The roles of threads, and which capabilities and files each uses.

use caps::Capability;

use super::needs::Needs;

/// What a thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Supervises, and ends the sensor.
    Main,
    /// Waits for signals.
    Signals,
    /// Takes events from the kernel and evaluates rules.
    Events,
    /// Asks container engines.
    Engines,
    /// Writes files in the folders of the sensor.
    Files,
    /// Reads the files of containers.
    Users,
    /// Takes alerts to an output that is open.
    Output,
    /// Tries the hooks by starting the sensor's own program.
    Notices,
    /// Reads rules and configuration.
    Rules,
    /// Answers at the control socket.
    Control,
}

/// What a role does to files beside reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileUse {
    /// It looks below `/proc` for what only who is outside of Landlock sees: another process's root. It opens files
    /// for reading alone.
    OtherProcesses,
    None,
    Writes,
    /// It starts the sensor's own program.
    StartsItself,
}

impl Role {
    pub(super) const ALL: [Role; 10] = [
        Role::Main,
        Role::Signals,
        Role::Events,
        Role::Engines,
        Role::Files,
        Role::Users,
        Role::Output,
        Role::Notices,
        Role::Rules,
        Role::Control,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::Signals => "signals",
            Role::Events => "events",
            Role::Engines => "engines",
            Role::Files => "files",
            Role::Users => "users",
            Role::Output => "output",
            Role::Notices => "notices",
            Role::Rules => "rules",
            Role::Control => "control",
        }
    }

    /// What it keeps, as far as it is there.
    pub(super) fn capabilities(self, needs: &Needs) -> Vec<Capability> {
        use Capability::{CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_NICE, CAP_SYS_PTRACE, CAP_SYS_RESOURCE};
        match self {
            Role::Signals => Vec::new(),
            // To set limits of the process back that somebody else set.
            Role::Notices => vec![CAP_SYS_RESOURCE],
            // To run before others again after its share of a processor was used up.
            Role::Output => vec![CAP_SYS_NICE],
            Role::Events => [CAP_SYS_NICE]
                .into_iter()
                .chain(needs.bpf)
                .chain(needs.processes_are_hidden.then_some(CAP_SYS_PTRACE))
                .collect(),
            // Users' sockets are their own. Who has an engine's socket needs no capability to be root.
            Role::Engines => vec![CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE],
            Role::Users => vec![CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH],
            Role::Rules => vec![CAP_DAC_READ_SEARCH],
            Role::Main | Role::Files | Role::Control => match needs.folders_are_anothers {
                true => vec![CAP_DAC_OVERRIDE],
                false => Vec::new(),
            },
        }
    }

    pub(super) fn file_use(self, needs: &Needs) -> FileUse {
        match self {
            Role::Users | Role::Rules => FileUse::OtherProcesses,
            Role::Events if needs.processes_are_hidden => FileUse::OtherProcesses,
            Role::Engines if needs.engines_are_in_processes => FileUse::OtherProcesses,
            Role::Events | Role::Engines | Role::Signals | Role::Output => FileUse::None,
            Role::Main | Role::Files | Role::Control => FileUse::Writes,
            Role::Notices => FileUse::StartsItself,
        }
    }
}
