//! The side that asks.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Place, Question, SOCKET};

/// A longer answer is none.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("no sensor answers at `{path}`: {source}")]
    Nobody { path: PathBuf, source: io::Error },
    #[error("the sensor at `{path}` did not answer within {limit:?}: it hangs, or is stopped")]
    Silent { path: PathBuf, limit: Duration },
    #[error("what answers at `{path}` is not understood")]
    NotUnderstood { path: PathBuf },
}

/// Asks the sensor whose runtime directory this is.
///
/// # Errors
/// It does not answer, or not in time.
pub(crate) fn ask<Answer: DeserializeOwned>(
    directory: &Path,
    question: Question,
    limit: Duration,
) -> Result<Answer, Unanswered> {
    let path = directory.join(SOCKET);
    let nobody = |source| Unanswered::Nobody {
        path: path.clone(),
        source,
    };
    let place = Place::in_directory(directory).map_err(nobody)?;
    let (answered, answer) = mpsc::channel();
    // Already connecting waits for a sensor that is stopped.
    let asking = thread::Builder::new().spawn(move || answered.send(exchange(&place, question)));
    asking.map_err(nobody)?;
    let Ok(text) = answer.recv_timeout(limit) else {
        return Err(Unanswered::Silent { path, limit });
    };
    serde_json::from_str(&text.map_err(nobody)?).map_err(|_| Unanswered::NotUnderstood { path })
}

fn exchange(place: &Place, question: Question) -> io::Result<String> {
    let mut stream = UnixStream::connect(place.path_of(SOCKET))?;
    writeln!(stream, "{}", question.word())?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut text)?;
    Ok(text)
}
