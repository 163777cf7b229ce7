//! The way to an engine: its socket, opened once for each session, and connections whose every byte is counted.
//!
//! Who can write to the folder of a socket can put anything in its place. The path is looked up by a thread of its own,
//! since a file system may take for ever to do it, and only a socket is taken. Connections go to what was opened then,
//! whatever is at the path by now. No connection gives more bytes than its limit, and none is read faster than the
//! engine's meter allows.

use super::report::describe;
use crate::engine::Engine;
use crate::meter;
use crate::model::{EngineError, Place};
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Stack of the thread that looks up a path.
const STACK_BYTES: usize = 64 * 1024;

/// An engine's socket.
#[derive(Clone)]
pub(crate) struct Socket {
    place: Arc<File>,
    pub(crate) engine: Arc<Engine>,
}

impl Socket {
    /// Looks up the engine's path.
    pub(crate) async fn open(engine: &Arc<Engine>, limit: Duration) -> Result<Socket, EngineError> {
        if engine.is_opening.swap(true, Ordering::AcqRel) {
            return Err(EngineError::Client("its path is still being looked up".to_owned()));
        }
        let (answer, answered) = oneshot::channel();
        let path = engine.socket.path.clone();
        let is_opening = Arc::clone(&engine.is_opening);
        let opener = thread::Builder::new()
            .name("engines-open".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let place = open(&path);
                is_opening.store(false, Ordering::Release);
                // Nobody waits any more if it took too long.
                let _ = answer.send(place);
            });
        if let Err(error) = opener {
            engine.is_opening.store(false, Ordering::Release);
            return Err(EngineError::Client(describe(&error)));
        }
        let place = match tokio::time::timeout(limit, answered).await {
            Ok(Ok(place)) => place?,
            Ok(Err(_)) | Err(_) => return Err(EngineError::NoAnswer(limit)),
        };
        Ok(Socket {
            place: Arc::new(place),
            engine: Arc::clone(engine),
        })
    }

    /// A connection that gives so many bytes at most.
    pub(crate) async fn connect(&self, bytes: u64) -> io::Result<Connection> {
        let stream = UnixStream::connect(format!("/proc/self/fd/{}", self.place.as_raw_fd())).await?;
        // A user could put a link to another engine's socket in the place of their own.
        if let Place::User(user) = self.engine.socket.place
            && let server = stream.peer_cred()?.uid()
            && server != user
        {
            let found = format!("user {server} answers there, not user {user}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, found));
        }
        Ok(Connection {
            stream,
            engine: Arc::clone(&self.engine),
            limit: bytes,
            left: bytes,
            pause: None,
        })
    }
}

fn open(path: &Path) -> Result<File, EngineError> {
    // Without opening what is there, which could be a pipe that nobody writes to. `OpenOptions` would leave `O_PATH` out:
    // to the C library musl it is an access mode, and these are not taken from custom flags.
    let place = fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    let place = File::from(place.map_err(|error| match error {
        Errno::ENOENT => EngineError::Absent,
        error => EngineError::Client(describe(&io::Error::from(error))),
    })?);
    match place.metadata() {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(place),
        Ok(_) => Err(EngineError::Client(
            "there is no socket at this path, but something else".to_owned(),
        )),
        Err(error) => Err(EngineError::Client(describe(&error))),
    }
}

/// A connection to an engine.
pub(crate) struct Connection {
    stream: UnixStream,
    engine: Arc<Engine>,
    limit: u64,
    left: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match self.engine.meter.pause(Instant::now()) {
                Some(pause) => self.pause = Some(Box::pin(sleep(pause))),
                None => break,
            }
        }
        if self.left == 0 {
            let limit = self.limit;
            let error = format!("it says more than {limit} bytes at once");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, error)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        self.engine.meter.spend(read.max(meter::READ));
        self.left = self.left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
