//! Follows an engine, so that its containers are known before anybody asks.
//!
//! One [`watch`] per engine runs on the engines' thread for as long as there is a handle to the directory. It connects,
//! subscribes to the engine's events, lists its containers and inspects each of them once. Every call has a time limit;
//! when the engine is lost, the watch reconnects with exponential backoff.

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

/// Follows one engine until the last handle to the directory is dropped.
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
                engine.connected(&version);
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
        engine.report_pauses();
        if let Some(DirectoryDropped) = refuse_until(&engine, &mut requests, Instant::now() + pause).await {
            return;
        }
        pause = timing.longest_pause.min(pause * 2);
    }
}

/// Fails questions while the engine is away.
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
