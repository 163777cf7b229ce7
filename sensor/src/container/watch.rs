//! Keeps an engine's containers known.
//!
//! One [`watch`] per engine runs on the engines' thread as long as somebody holds the directory.
//! It reaches the engine, subscribes to its events, lists its containers and asks about each one
//! once. Every call has a time limit; when the engine is lost, the watch starts over, slower each
//! time.

mod session;

use super::DirectoryOptions;
use super::client::Client;
use super::directory::LookupFailure;
use super::engine::Engine;
use session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

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

/// Follows one engine until nobody holds the directory any more.
pub(super) async fn watch(
    engine: Arc<Engine>,
    options: Arc<DirectoryOptions>,
    mut requests: mpsc::Receiver<String>,
    timing: Timing,
) {
    let mut pause = timing.first_pause;
    loop {
        match Client::connect(&engine, &options, timing.call).await {
            Ok((client, version)) => {
                engine.connected(version);
                let begun = Instant::now();
                match Session::new(&engine, client, timing).run(&mut requests).await {
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

#[cfg(test)]
mod tests;
