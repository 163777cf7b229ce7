//! Questions about a container, and their answers.

use super::metadata::Metadata;
use super::socket::Runtime;
use std::sync::Arc;

/// A container by its id and, if the cgroup path shows it, what runs it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef<'a> {
    /// The full id, as the engine spells it.
    pub id: &'a str,
    /// What runs the container; `None` if the path does not show it.
    pub runtime: Option<Runtime>,
}

/// A container as a cgroup path names it.
///
/// It is a claim because whoever may create cgroups can give them any id: a container with a writable cgroup tree, or a
/// user in the part of the tree that systemd delegates.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ContainerClaim<'a> {
    /// The innermost container of the path.
    pub container: ContainerRef<'a>,
    /// The user in whose part of the cgroup tree the outermost container is.
    pub rootless_owner: Option<u32>,
    /// The outermost container of the path, if it is not the innermost.
    pub nested_in: Option<ContainerRef<'a>>,
}

/// The answer to a question about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// All that the engine knows.
    Complete(Arc<Metadata>),
    /// The engine is being asked; a part may be known already from its events.
    Pending(Option<Arc<Metadata>>),
    /// The engine could not be asked or does not know the container; a part may be known nevertheless.
    Failed(LookupFailure, Option<Arc<Metadata>>),
}

impl Lookup {
    /// All that is known so far.
    pub fn metadata(&self) -> Option<&Arc<Metadata>> {
        match self {
            Lookup::Complete(metadata) => Some(metadata),
            Lookup::Pending(metadata) | Lookup::Failed(_, metadata) => metadata.as_ref(),
        }
    }

    /// Whether a later answer may have more.
    pub fn may_improve(&self) -> bool {
        match self {
            Lookup::Complete(_) => false,
            Lookup::Pending(_) => true,
            Lookup::Failed(why, _) => why.is_transient(),
        }
    }

    /// Of the answers of two engines, the one that says more.
    pub(crate) fn or(self, other: Lookup) -> Lookup {
        fn rank(lookup: &Lookup) -> u8 {
            match lookup {
                Lookup::Complete(_) => 4,
                Lookup::Pending(_) => 3,
                Lookup::Failed(_, Some(_)) => 2,
                Lookup::Failed(why, None) if why.is_transient() => 1,
                Lookup::Failed(_, None) => 0,
            }
        }
        if rank(&self) >= rank(&other) { self } else { other }
    }
}

/// Why nothing more is known about a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    /// No engine can have this container.
    #[error("no engine is configured that can know this container")]
    NoEngine,
    /// The engine is away.
    #[error("the engine cannot be reached")]
    EngineUnreachable,
    /// The engine has no such container.
    #[error("the engine does not know this container")]
    NotFound,
    /// The queue of questions is full.
    #[error("too many questions to the engine are waiting")]
    TooManyQuestions,
    /// The question failed, with the cause.
    #[error("the engine did not answer the question: {0}")]
    NoAnswer(String),
}

impl LookupFailure {
    /// Whether asking again later may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            LookupFailure::NoEngine | LookupFailure::NotFound => false,
            LookupFailure::EngineUnreachable | LookupFailure::TooManyQuestions | LookupFailure::NoAnswer(_) => true,
        }
    }
}
