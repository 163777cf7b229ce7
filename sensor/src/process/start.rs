//! What belongs to the start of a container: what its runtime started, and what follows from that without a break.
//!
//! A start is often a script, or an init and scripts, that prepare something before the service runs. What these do for
//! that is told apart from what the service does later by descent: through shells and inits alone, by the files that run
//! and not by what they are called. Once anything else has run, neither it nor what descends from it comes back.

use super::image::Image;
use super::names::base_name;
use super::origin::Origin;

/// How a process is related to what its container was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// How many generations after that one it is.
    pub depth: u32,
    /// The terminal with which that one was started, a kernel `dev_t`; 0 if none.
    pub terminal: u32,
    /// Whether nothing but shells and inits ran between that one's start and its own program.
    pub is_preparation: bool,
    /// Whether its program is one of these too.
    pub(super) goes_on: bool,
}

impl Start {
    /// Of a child.
    pub(super) fn inherited(self) -> Self {
        Start {
            depth: self.depth.saturating_add(1),
            is_preparation: self.goes_on,
            ..self
        }
    }

    /// Of the same process once it runs this program.
    pub(super) fn running(self, image: &Image) -> Self {
        Start {
            is_preparation: self.goes_on,
            goes_on: self.goes_on && prepares(image),
            ..self
        }
    }
}

/// Whether a program is a shell or an init, and not one that was brought into the container.
fn prepares(image: &Image) -> bool {
    let is_brought = image
        .file
        .and_then(|file| file.origin)
        .is_some_and(|origin| matches!(origin, Origin::Upper | Origin::Tmpfs | Origin::Memory));
    let runs = match base_name(&image.executable) {
        "busybox" if image.is_script => "sh",
        "busybox" => &image.name,
        file => file,
    };
    !is_brought && is_shell_or_init(runs)
}

fn is_shell_or_init(name: &str) -> bool {
    matches!(
        name,
        "sh" | "ash"
            | "bash"
            | "dash"
            | "zsh"
            | "ksh"
            | "ksh93"
            | "mksh"
            | "tini"
            | "tini-static"
            | "dumb-init"
            | "docker-init"
            | "catatonit"
            | "runsvdir"
            | "runsv"
    ) || name.starts_with("s6-")
}
