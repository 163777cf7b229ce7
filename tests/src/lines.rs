//! A stream that is read on a thread of its own and awaited line by line.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, bail};

/// How long anything is awaited, on a machine that is busy with other things too. Only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// All lines of a stream so far.
#[derive(Clone)]
pub struct Lines {
    shared: Arc<Shared>,
}

/// A line and when its end was read.
pub struct Line {
    pub text: String,
    pub arrived: SystemTime,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    has_ended: bool,
}

impl Lines {
    /// Starts to read a stream.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        thread::spawn(move || {
            // A terminal whose last user is gone gives an error instead of an end.
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let arrived = SystemTime::now();
                let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                writer.lock().lines.push(Line { text, arrived });
                writer.changed.notify_all();
            }
            writer.lock().has_ended = true;
            writer.changed.notify_all();
        });
        Self { shared }
    }

    /// The first line, from the beginning of the stream, of which `find` makes something.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> Result<T> {
        self.wait_for_line(what, |line| find(&line.text))
    }

    /// As [`Self::wait_for`], with the lines' times.
    pub fn wait_for_line<T>(&self, what: &str, mut find: impl FnMut(&Line) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = state.lines[seen..].iter().find_map(&mut find) {
                return Ok(found);
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.has_ended || left.is_zero() {
                let why = if state.has_ended {
                    "the stream ended"
                } else {
                    "nothing more came"
                };
                bail!("no {what}: {why} after these lines:\n{}", state.texts().join("\n"));
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for the end of the stream; all its lines.
    pub fn wait_for_end(&self) -> Result<Vec<String>> {
        let state = self.shared.lock();
        let (state, waited) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.has_ended)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            bail!(
                "the stream did not end after these lines:\n{}",
                state.texts().join("\n")
            );
        }
        Ok(state.texts())
    }

    /// The lines that have come until now.
    pub fn so_far(&self) -> Vec<String> {
        self.shared.lock().texts()
    }
}

impl State {
    fn texts(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.text.clone()).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
