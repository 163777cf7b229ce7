//! The side that answers, in a thread of its own.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use tracing::warn;

use super::{Health, Place, Question, Reloaded, SOCKET};
use crate::sandbox::{self, Role};

/// How long somebody may take for a question, and to take its answer.
const TALK_LIMIT: Duration = Duration::from_secs(1);
/// The longest question, with its line's end.
const QUESTION_BYTES: u64 = 64;
/// How often it is looked whether the sensor that has the socket still lives.
const TAKE_INTERVAL: Duration = Duration::from_millis(200);
/// Until the next try after the socket did not take a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What gives the answers.
pub(crate) trait Answering: Send + Sync + 'static {
    /// Never waits.
    fn health(&self) -> Health;

    /// Has the rules taken anew, and waits for what comes of it.
    fn reload(&self) -> Reloaded;
}

/// Answers until the process ends. The socket is removed by dropping this, which is to come last.
pub(crate) struct Control {
    place: Arc<Place>,
    is_taken: Arc<AtomicBool>,
    thread: Arc<JoinHandle<()>>,
}

impl Control {
    /// Answers at the socket in this directory from now on, or from when the sensor has ended that answers there.
    ///
    /// # Errors
    /// The directory is not there, or the thread cannot be started.
    pub(crate) fn start(directory: &Path, answering: impl Answering) -> io::Result<Self> {
        let place = Arc::new(Place::in_directory(directory)?);
        let first = take(&place);
        let is_taken = Arc::new(AtomicBool::new(false));
        let (at, taken) = (Arc::clone(&place), Arc::clone(&is_taken));
        let thread = thread::Builder::new().name("control".to_owned()).spawn(move || {
            sandbox::enter(Role::Control);
            serve(&at, first, &taken, &Arc::new(answering));
        })?;
        Ok(Control {
            place,
            is_taken,
            thread: Arc::new(thread),
        })
    }

    /// The thread that answers.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // As long as this one listens nobody else takes it.
        if self.is_taken.load(Ordering::Relaxed) {
            let _ = fs::remove_file(self.place.path_of(SOCKET));
        }
    }
}

fn serve(
    place: &Place,
    mut taken: io::Result<Option<UnixListener>>,
    is_taken: &AtomicBool,
    answering: &Arc<impl Answering>,
) {
    let mut is_told = false;
    let listener = loop {
        match taken {
            Ok(Some(listener)) => break listener,
            Ok(None) => {}
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(
                        "`tidewaiter health` and `tidewaiter reload` cannot ask this sensor: `{}` cannot be made: {error}",
                        place.shown.display()
                    );
                }
            }
        }
        thread::sleep(TAKE_INTERVAL);
        taken = take(place);
    };
    is_taken.store(true, Ordering::Relaxed);
    let is_reloading = Arc::new(AtomicBool::new(false));
    loop {
        match listener.accept() {
            // Who asks wrongly, or does not wait for the answer, has none.
            Ok((stream, _)) => drop(answer(stream, answering, &is_reloading)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// The socket, unless another sensor answers at it.
fn take(place: &Place) -> io::Result<Option<UnixListener>> {
    let path = place.path_of(SOCKET);
    if UnixStream::connect(&path).is_ok() {
        return Ok(None);
    }
    let beside = place.path_of(&format!(".{SOCKET}.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
    fs::rename(&beside, &path)?;
    Ok(Some(listener))
}

fn answer(mut stream: UnixStream, answering: &Arc<impl Answering>, is_reloading: &Arc<AtomicBool>) -> io::Result<()> {
    stream.set_read_timeout(Some(TALK_LIMIT))?;
    stream.set_write_timeout(Some(TALK_LIMIT))?;
    match question(&mut stream)? {
        Some(Question::Health) => write(&mut stream, &answering.health()),
        Some(Question::Security) => write(&mut stream, &sandbox::report()),
        Some(Question::Reload) if is_reloading.swap(true, Ordering::Relaxed) => {
            let answer = Reloaded {
                is_taken: false,
                what: "somebody else's reload is under way".to_owned(),
            };
            write(&mut stream, &answer)
        }
        Some(Question::Reload) => {
            let (answering, is_reloading) = (Arc::clone(answering), Arc::clone(is_reloading));
            thread::Builder::new().spawn(move || {
                let answer = answering.reload();
                is_reloading.store(false, Ordering::Relaxed);
                write(&mut stream, &answer)
            })?;
            Ok(())
        }
        None => Ok(()),
    }
}

/// The question, once its line has come.
fn question(stream: &mut UnixStream) -> io::Result<Option<Question>> {
    let mut line = Vec::new();
    BufReader::new(stream.take(QUESTION_BYTES)).read_until(b'\n', &mut line)?;
    let word = line.strip_suffix(b"\n").and_then(|word| std::str::from_utf8(word).ok());
    Ok(word.and_then(Question::from_word))
}

fn write(stream: &mut UnixStream, answer: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}
