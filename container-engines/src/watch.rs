//! Keeps an engine's containers known.
//!
//! One [`watch`] per engine runs on the engines' thread as long as somebody holds the directory.
//! It reaches the engine, subscribes to its events, lists its containers and asks about each one
//! once. Every call has a time limit; when the engine is lost, the watch starts over, slower each
//! time.

mod session;
mod timing;

use crate::client::Client;
use crate::engine::Engine;
use crate::model::{DirectoryOptions, LookupFailure};
use session::{DirectoryDropped, Session};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

#[cfg(test)]
pub(crate) use session::INSPECTIONS_AT_ONCE;
pub(crate) use timing::Timing;

/// Follows one engine until nobody holds the directory any more.
pub(crate) async fn watch(
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
                    Ok(DirectoryDropped) => return,
                    Err(error) => engine.lost(&error),
                }
                if begun.elapsed() >= timing.steady {
                    pause = timing.first_pause;
                }
            }
            Err(error) => engine.lost(&error),
        }
        if let Some(DirectoryDropped) = refuse_until(&engine, &mut requests, Instant::now() + pause).await {
            return;
        }
        pause = timing.longest_pause.min(pause * 2);
    }
}

/// Answers questions while the engine is away.
async fn refuse_until(
    engine: &Engine,
    requests: &mut mpsc::Receiver<String>,
    end: Instant,
) -> Option<DirectoryDropped> {
    loop {
        tokio::select! {
            () = sleep_until(end) => return None,
            request = requests.recv() => match request {
                Some(id) => engine.fail(&id, LookupFailure::EngineUnreachable),
                None => return Some(DirectoryDropped),
            },
        }
    }
}
