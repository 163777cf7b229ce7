//! Names, images and labels of containers, ready when the event thread asks.
//!
//! A [`Directory`] keeps what the container engines have said. One thread talks to all engines
//! and fills it ahead of need: with a listing when an engine is reached, then from its events. So
//! [`Directory::get`] only reads memory and never waits; an id nobody has mentioned starts a
//! question, at most one per container and engine at a time.
//!
//! Nothing an engine does, or fails to do, is an error here: each answer says what is known and,
//! if that is not all, why.

pub(super) mod cache;

use crate::container::engine::{Engine, EngineSocket, EngineStatus, Place};
use crate::container::watch::{self, Timing};
use crate::container::{ContainerIdentity, Metadata};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(super) use cache::CONTAINERS_AT_MOST;

/// The most questions of the event thread that wait for an engine to take them.
const REQUESTS_AT_MOST: usize = 1024;

/// The answer to a question about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// All that the engine tells.
    Complete(Arc<Metadata>),
    /// The engine is being asked; its event about the container may have told a part already.
    Pending(Option<Arc<Metadata>>),
    /// The engine could not be asked or did not know; a part may be known nevertheless.
    Failed(LookupFailure, Option<Arc<Metadata>>),
}

impl Lookup {
    /// All that is known by now.
    pub fn metadata(&self) -> Option<&Arc<Metadata>> {
        match self {
            Lookup::Complete(metadata) => Some(metadata),
            Lookup::Pending(metadata) | Lookup::Failed(_, metadata) => metadata.as_ref(),
        }
    }

    /// Whether a later answer may tell more.
    pub fn may_improve(&self) -> bool {
        match self {
            Lookup::Complete(_) => false,
            Lookup::Pending(_) => true,
            Lookup::Failed(why, _) => why.may_pass(),
        }
    }

    /// Of the answers of two engines, the one that tells more.
    fn or(self, other: Lookup) -> Lookup {
        fn rank(lookup: &Lookup) -> u8 {
            match lookup {
                Lookup::Complete(_) => 4,
                Lookup::Pending(_) => 3,
                Lookup::Failed(_, Some(_)) => 2,
                Lookup::Failed(why, None) if why.may_pass() => 1,
                Lookup::Failed(_, None) => 0,
            }
        }
        if rank(&self) >= rank(&other) { self } else { other }
    }
}

/// Why nothing more is known about a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFailure {
    #[error("no engine is configured that can know this container")]
    NoEngine,
    #[error("the engine cannot be reached")]
    EngineUnreachable,
    #[error("the engine does not know this container")]
    NotFound,
    #[error("too many questions to the engine are waiting")]
    TooManyQuestions,
    #[error("the engine did not answer the question: {0}")]
    NoAnswer(String),
}

impl LookupFailure {
    /// Whether asking again later may succeed.
    pub fn may_pass(&self) -> bool {
        match self {
            LookupFailure::NoEngine | LookupFailure::NotFound => false,
            LookupFailure::EngineUnreachable | LookupFailure::TooManyQuestions | LookupFailure::NoAnswer(_) => true,
        }
    }
}

/// What is asked for beyond the containers themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// Annotations of pods that are kept, by their whole key or, with `*` at its end, by its beginning.
    pub pod_annotations: Vec<String>,
}

/// A handle to what is known about containers. Clones share it; when the last one is gone, the
/// thread that talks to the engines ends.
#[derive(Clone)]
pub struct Directory {
    links: Arc<[Link]>,
}

/// An engine and the way to ask it.
struct Link {
    engine: Arc<Engine>,
    requests: mpsc::Sender<String>,
}

impl Directory {
    /// Starts the thread that talks to the engines. None of them has to be there. Fails only if
    /// the system refuses a thread.
    pub fn start(sockets: Vec<EngineSocket>, options: DirectoryOptions) -> io::Result<Directory> {
        Directory::start_with(sockets, options, Timing::default())
    }

    pub(super) fn start_with(
        sockets: Vec<EngineSocket>,
        options: DirectoryOptions,
        timing: Timing,
    ) -> io::Result<Directory> {
        let options = Arc::new(options);
        let mut links = Vec::new();
        let mut watches = Vec::new();
        for socket in sockets {
            let engine = Arc::new(Engine::new(socket, timing.failure_memory));
            let (requests, receiver) = mpsc::channel(REQUESTS_AT_MOST);
            watches.push(watch::watch(engine.clone(), options.clone(), receiver, timing));
            links.push(Link { engine, requests });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("engines".to_owned())
            .spawn(move || runtime.block_on(futures_util::future::join_all(watches)))?;
        Ok(Directory { links: links.into() })
    }

    /// Waits until every engine has told of the containers it has, or was found to be away, at
    /// most for `limit`. For the start, so that the first records are as complete as later ones.
    pub fn settle(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for link in self.links.iter() {
            link.engine.wait_until_settled(deadline);
        }
    }

    /// What is known now. Never waits; an engine that has not been asked is asked.
    ///
    /// Only an engine whose containers can be where this one is has a say: what an identity claims
    /// inside another container, or in a user's part of the cgroup tree, is nothing that this
    /// host's engines know of, whatever its id says.
    pub fn get(&self, identity: &ContainerIdentity) -> Lookup {
        self.links
            .iter()
            .filter(|link| self.may_have(link, identity))
            .map(|link| link.get(&identity.id))
            .reduce(Lookup::or)
            .unwrap_or(Lookup::Failed(LookupFailure::NoEngine, None))
    }

    /// The container a process is in, as far as the engines can tell the truth of a claim.
    ///
    /// A cgroup made inside a container, or by a user, may bear any id. The host's engines' own
    /// containers are in neither place, so a claim to be one of them is a lie, and the outermost
    /// container, or none, is what remains.
    pub fn unmask(&self, identity: ContainerIdentity) -> Option<ContainerIdentity> {
        let claimed = identity.nested_in.is_some() || identity.rootless_owner.is_some();
        let of_host = |link: &&Link| link.engine.socket.place == Place::Host;
        if claimed
            && self
                .links
                .iter()
                .filter(of_host)
                .any(|link| link.engine.knows(&identity.id))
        {
            return identity.nested_in.map(|outermost| *outermost);
        }
        Some(identity)
    }

    pub fn engines(&self) -> Vec<EngineStatus> {
        self.links.iter().map(|link| link.engine.status()).collect()
    }

    /// Whether the engine can know this container: by its runtime, where the path tells it, and
    /// by its place.
    fn may_have(&self, link: &Link, identity: &ContainerIdentity) -> bool {
        let socket = &link.engine.socket;
        if identity.runtime.is_some_and(|runtime| runtime != socket.kind.runtime()) {
            return false;
        }
        match (&socket.place, &identity.nested_in) {
            (Place::Host, None) => identity.rootless_owner.is_none(),
            (Place::User(user), None) => identity.rootless_owner == Some(*user),
            (Place::Inside(outer), Some(outermost)) => self.is_called(outermost, outer),
            (Place::Host | Place::User(_), Some(_)) | (Place::Inside(_), None) => false,
        }
    }

    fn is_called(&self, container: &ContainerIdentity, name_or_id: &str) -> bool {
        container.id == name_or_id
            || self
                .get(container)
                .metadata()
                .is_some_and(|metadata| metadata.name == name_or_id)
    }
}

impl Link {
    fn get(&self, id: &str) -> Lookup {
        self.engine
            .look_up(id, || self.requests.try_send(id.to_owned()).is_ok())
    }
}

#[cfg(test)]
mod tests;
