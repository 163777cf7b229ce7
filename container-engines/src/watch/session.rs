//! One connection to an engine, from the first listing until it is lost.

use super::timing::Timing;
use crate::cache::Question;
use crate::client::{Client, EngineEvent, Listed, ListedState, within};
use crate::engine::Engine;
use crate::model::{CONTAINERS_AT_MOST, EngineError, LookupFailure, Metadata, is_random_id};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::{HashMap, HashSet, VecDeque};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

/// How many containers are inspected concurrently at most.
pub(crate) const INSPECTIONS_AT_ONCE: usize = 16;

pub(crate) struct Session<'a> {
    engine: &'a Engine,
    client: Client,
    timing: Timing,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Containers to inspect, the most urgent first.
    waiting: VecDeque<String>,
    inspections: usize,
    /// Containers that are queued or being inspected, with what events have changed since: the answer may be older than
    /// the event.
    unanswered: HashMap<String, Amendment>,
    /// While a listing is in flight, what was known when it was requested: containers that it lacks are gone.
    listing: Option<HashSet<String>>,
    /// What was known when the session began, and is inspected again because it may have changed in between.
    to_be_renewed: HashSet<String>,
    /// Whether everything in the first listing is known.
    is_synced: bool,
}

/// The last handle to the directory was dropped.
pub(crate) struct DirectoryDropped;

enum Answer {
    Listed(Result<Vec<Listed>, EngineError>),
    Inspected(String, Box<Result<Option<Metadata>, EngineError>>),
    Alive(Result<(), EngineError>),
}

/// What an event changes about a container.
#[derive(Clone, Default)]
struct Amendment {
    name: Option<String>,
    started: Option<i64>,
    /// A container of this name was removed or created, so the answer may be about another one.
    is_outdated: bool,
}

impl Amendment {
    fn apply(self, metadata: &mut Metadata) {
        if let Some(name) = self.name {
            metadata.name = name;
        }
        metadata.started = self.started.or(metadata.started);
    }

    fn followed_by(self, later: Amendment) -> Amendment {
        Amendment {
            name: later.name.or(self.name),
            started: later.started.or(self.started),
            is_outdated: self.is_outdated || later.is_outdated,
        }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(engine: &'a Engine, client: Client, timing: Timing) -> Session<'a> {
        Session {
            engine,
            client,
            timing,
            calls: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            inspections: 0,
            unanswered: HashMap::new(),
            listing: None,
            to_be_renewed: engine.known_ids(),
            is_synced: false,
        }
    }

    /// Runs until the engine is lost or the last handle to the directory is dropped.
    pub(crate) async fn run(mut self, requests: &mut mpsc::Receiver<String>) -> Result<DirectoryDropped, EngineError> {
        let mut events = self.client.events();
        let mut pings = interval_at(Instant::now() + self.timing.ping, self.timing.ping);
        self.list();
        loop {
            self.engine.report_pauses();
            self.start_inspections();
            if !self.is_synced && self.listing.is_none() && self.unanswered.is_empty() {
                self.is_synced = true;
                self.engine.mark_synced();
            }
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.take_event(event?),
                    None => return Err(EngineError::EventsEnded),
                },
                request = requests.recv() => match request {
                    Some(id) => self.ask_first(id),
                    None => return Ok(DirectoryDropped),
                },
                Some(answer) = self.calls.next() => self.take_answer(answer)?,
                _ = pings.tick() => {
                    self.ping();
                    self.ask_again();
                }
            }
        }
    }

    fn list(&mut self) {
        if self.listing.is_some() {
            return;
        }
        self.listing = Some(self.engine.known_ids());
        let client = self.client.clone();
        let limit = self.timing.call;
        self.calls
            .push(async move { Answer::Listed(within(limit, client.list()).await) }.boxed());
    }

    fn ping(&mut self) {
        let client = self.client.clone();
        let limit = self.timing.call;
        self.calls
            .push(async move { Answer::Alive(within(limit, client.ping()).await) }.boxed());
    }

    /// What got no answer, such as while the machine was too busy, is asked again, whether or not somebody looks it up.
    fn ask_again(&mut self) {
        for id in self.engine.ask_again() {
            self.ask_last(id);
        }
    }

    fn ask_first(&mut self, id: String) {
        if self.may_ask(&id) {
            self.waiting.push_front(id);
        }
    }

    fn ask_last(&mut self, id: String) {
        if self.may_ask(&id) {
            self.waiting.push_back(id);
        }
    }

    /// Not while the container is being asked about already, and not beyond the limit.
    fn may_ask(&mut self, id: &str) -> bool {
        if self.unanswered.contains_key(id) {
            return false;
        }
        if self.unanswered.len() >= CONTAINERS_AT_MOST {
            self.engine.count_refused_question();
            self.engine.fail(id, LookupFailure::TooManyQuestions);
            return false;
        }
        self.unanswered.insert(id.to_owned(), Amendment::default());
        true
    }

    fn start_inspections(&mut self) {
        while self.inspections < INSPECTIONS_AT_ONCE
            && let Some(id) = self.waiting.pop_front()
        {
            self.inspections += 1;
            self.engine.count_inspection();
            let client = self.client.clone();
            let limit = self.timing.call;
            self.calls.push(
                async move {
                    let answer = within(limit, client.inspect(&id)).await;
                    Answer::Inspected(id, Box::new(answer))
                }
                .boxed(),
            );
        }
    }

    fn take_answer(&mut self, answer: Answer) -> Result<(), EngineError> {
        match answer {
            Answer::Listed(containers) => self.take_list(containers?),
            Answer::Alive(alive) => alive?,
            Answer::Inspected(id, answer) => {
                self.inspections -= 1;
                let amendment = self.unanswered.remove(&id).unwrap_or_default();
                let answer = *answer;
                if amendment.is_outdated {
                    if self.engine.complete_removed(&id, answer.ok().flatten()) == Question::Ask {
                        self.ask_first(id);
                    }
                    return Ok(());
                }
                match answer {
                    Ok(Some(mut metadata)) => {
                        amendment.apply(&mut metadata);
                        self.engine.complete(&id, metadata);
                    }
                    Ok(None) => self.engine.fail(&id, LookupFailure::NotFound),
                    Err(error) => {
                        let why = LookupFailure::NoAnswer(error.to_string());
                        self.engine.fail(&id, why);
                    }
                }
            }
        }
        Ok(())
    }

    fn take_list(&mut self, mut containers: Vec<Listed>) {
        containers.sort_by_key(|container| container.state != ListedState::Running);
        let listed: HashSet<&str> = containers.iter().map(|container| container.id.as_str()).collect();
        for id in self.listing.take().unwrap_or_default() {
            if !listed.contains(id.as_str()) {
                self.engine.remove(&id);
            }
        }
        for container in containers.into_iter().take(CONTAINERS_AT_MOST) {
            let id = container.id;
            let is_renewed = self.to_be_renewed.remove(&id);
            if !is_renewed && self.engine.is_current(&id) {
                continue;
            }
            self.engine.expect(&id, None);
            match container.metadata {
                Some(metadata) => self.engine.complete(&id, metadata),
                None => self.ask_last(id),
            }
        }
        self.to_be_renewed.clear();
    }

    fn take_event(&mut self, event: EngineEvent) {
        match event {
            EngineEvent::Created(id, metadata) => {
                self.engine.expect(&id, metadata.map(|metadata| *metadata));
                self.outdate(&id);
                self.ask_first(id);
            }
            EngineEvent::Started(id, started) => {
                let change = Amendment {
                    started,
                    ..Amendment::default()
                };
                self.amend(id, change);
            }
            EngineEvent::Renamed(id, name) => {
                let change = Amendment {
                    name: Some(name),
                    ..Amendment::default()
                };
                self.amend(id, change);
            }
            EngineEvent::Removed(id) => {
                self.engine.remove(&id);
                self.outdate(&id);
            }
            EngineEvent::Resync => self.list(),
        }
    }

    /// What is being asked about this name may be about another container than the one that has it now.
    fn outdate(&mut self, id: &str) {
        if let Some(amendment) = self.unanswered.get_mut(id) {
            amendment.is_outdated = !is_random_id(id);
        }
    }

    /// Changes what is known now, and once more when a pending inspection is answered. An unknown container is
    /// inspected instead.
    fn amend(&mut self, id: String, change: Amendment) {
        self.engine.amend(&id, |metadata| change.clone().apply(metadata));
        match self.unanswered.get_mut(&id) {
            Some(amendment) => *amendment = std::mem::take(amendment).followed_by(change),
            None if self.engine.knows(&id) => {}
            None => {
                self.engine.expect(&id, None);
                self.ask_first(id);
            }
        }
    }
}
