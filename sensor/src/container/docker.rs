//! Keeps an engine's containers known, over Docker's API (Docker's socket, or Podman's).
//!
//! One [`watch`] per engine runs on the engines' thread as long as somebody holds the directory.
//! It reaches the engine, subscribes to its events, lists its containers and asks about each one
//! once. A creation event tells name, image and labels before the first process runs; the engine
//! answers a question about a container that is just starting only when it has started, so those
//! who need the rest have to wait for it. Every call has a time limit; when the engine is lost,
//! the watch starts over, slower each time. Only reading calls are made.

mod session;

use crate::container::directory::{Engine, EngineVersion, LookupFailure};
use bollard::Docker;
use session::Session;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// The longest text of an engine's error that is shown, in bytes.
const REASON_BYTES: usize = 300;

/// How long things take at most, and how long apart they are.
#[derive(Copy, Clone, Debug)]
pub(super) struct Timing {
    /// The limit of one call. A question about a container that is starting is answered when it
    /// has started, which may take seconds.
    pub call: Duration,
    /// How often an engine that says nothing is asked whether it lives.
    pub ping: Duration,
    /// The pause before the first new attempt to reach an engine; it doubles each time.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// An engine that stayed this long is taken for sound, and the pauses begin anew.
    pub steady: Duration,
    /// How long a failed question is not asked again.
    pub failure_memory: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            call: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(2),
            steady: Duration::from_secs(10),
            failure_memory: Duration::from_secs(5),
        }
    }
}

/// Why an engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("there is no socket at this path")]
    Absent,
    #[error("the path of the socket is not valid UTF-8")]
    PathNotUtf8,
    #[error("no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    #[error("the engine closed the stream of events")]
    EventsEnded,
    #[error("the stream of events broke off: {0}")]
    EventsBroken(String),
    #[error("{0}")]
    Client(String),
}

impl From<bollard::errors::Error> for EngineError {
    fn from(error: bollard::errors::Error) -> EngineError {
        match error {
            bollard::errors::Error::SocketNotFoundError(_) => EngineError::Absent,
            error => EngineError::Client(describe(&error)),
        }
    }
}

/// The error with its causes, bounded and without control characters.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.retain(|character| !character.is_control());
    text.truncate(text.floor_char_boundary(REASON_BYTES));
    text
}

/// Follows one engine until nobody holds the directory any more.
pub(super) async fn watch(engine: Arc<Engine>, mut requests: mpsc::Receiver<String>, timing: Timing) {
    let mut pause = timing.first_pause;
    loop {
        match connect(&engine.socket.path, timing.call).await {
            Ok((docker, version)) => {
                engine.connected(version);
                let begun = Instant::now();
                match Session::new(&engine, docker, timing).run(&mut requests).await {
                    Ok(NobodyAsks) => return,
                    Err(error) => engine.lost(&error),
                }
                if begun.elapsed() >= timing.steady {
                    pause = timing.first_pause;
                }
            }
            Err(error) => engine.lost(&error),
        }
        if let Some(NobodyAsks) = refuse_until(&engine, &mut requests, Instant::now() + pause).await {
            return;
        }
        pause = timing.longest_pause.min(pause * 2);
    }
}

/// All handles to the directory are gone.
struct NobodyAsks;

/// Answers questions while the engine is away.
async fn refuse_until(engine: &Engine, requests: &mut mpsc::Receiver<String>, end: Instant) -> Option<NobodyAsks> {
    loop {
        tokio::select! {
            () = sleep_until(end) => return None,
            request = requests.recv() => match request {
                Some(id) => engine.fail(&id, LookupFailure::EngineUnreachable),
                None => return Some(NobodyAsks),
            },
        }
    }
}

async fn connect(socket: &Path, limit: Duration) -> Result<(Docker, EngineVersion), EngineError> {
    let path = socket.to_str().ok_or(EngineError::PathNotUtf8)?;
    // The client sends paths without a version, so an engine of any age answers in the newest
    // form it knows, and no version has to be agreed on. Its own limit, in whole seconds, only
    // bounds what ours does not: the head of the stream of events.
    let docker = Docker::connect_with_unix(path, limit.as_secs() + 1, bollard::API_DEFAULT_VERSION)?;
    let version = within(limit, docker.version()).await?;
    let version = EngineVersion {
        engine: version.version.unwrap_or_default(),
        api: version.api_version.unwrap_or_default(),
    };
    Ok((docker, version))
}

/// One call with its time limit, which covers the whole answer.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    match timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(EngineError::NoAnswer(limit)),
    }
}

#[cfg(test)]
mod tests;
