//! The lines on stderr that say what the sensor does.
//!
//! A thread of its own writes them, so that nobody who has something to say waits for stderr: past the room for
//! waiting lines they are dropped and counted. It writes through a descriptor of its own, because a stderr that takes
//! nothing would have it hold the lock of [`io::stderr`] for ever. Whatever stands in a line, it is written as one line of
//! bounded length with nothing in it that a terminal obeys.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{self, PanicHookInfo};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::sandbox::without_capabilities;
use crate::text::escape::Line;

/// Lines that may wait for stderr.
const QUEUE_LENGTH: usize = 4 * 1024;
/// Characters of a line that are written.
const LINE_CHARACTERS: usize = 4 * 1024;
/// How long the end may take, and how often the last words are offered to a full queue meanwhile.
const END_LIMIT: Duration = Duration::from_secs(1);
const OFFER_INTERVAL: Duration = Duration::from_millis(10);
/// The name of the thread.
pub(crate) const THREAD: &str = "log";
/// What the last words begin with in the queue, and no line does.
const LAST_WORDS: u8 = 0x04;

/// Writes what is still waiting when it is dropped, unless stderr takes none of it.
pub(crate) struct Log {
    lines: NonBlocking,
    last_words: Vec<u8>,
    end_limit: Duration,
    /// Closed when the last words are written.
    ended: Receiver<Infallible>,
    pub(crate) dropped: DroppedLines,
}

impl Log {
    /// Starts the thread that writes to `stderr`.
    fn new(stderr: File, queue_length: usize, end_limit: Duration) -> Self {
        let (end, ended) = mpsc::channel();
        let (lines, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(queue_length)
            .thread_name(THREAD)
            .finish(Stderr {
                descriptor: stderr,
                end: Some(end),
            });
        // Dropped, it would report a full queue on stdout, among the alerts.
        std::mem::forget(guard);
        Log {
            dropped: DroppedLines(lines.error_counter()),
            lines,
            last_words: vec![LAST_WORDS],
            end_limit,
            ended,
        }
    }

    /// Has these lines written after all others and after how many of them were dropped.
    pub(crate) fn finish(mut self, last_words: &str) {
        let dropped = self.dropped.count();
        if dropped > 0 {
            // Not as a line of its own, which a full queue would drop as well.
            let report = format!("tidewaiter: {dropped} lines were not written here: stderr was too slow\n");
            self.last_words.extend(report.as_bytes());
        }
        self.last_words.extend(last_words.as_bytes());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let deadline = Instant::now() + self.end_limit;
        loop {
            // Whether the queue is full is not to be had; of several last words the first are written.
            let _ = self.lines.write_all(&self.last_words);
            let ended = self.ended.recv_timeout(OFFER_INTERVAL);
            if ended == Err(RecvTimeoutError::Disconnected) || Instant::now() >= deadline {
                return;
            }
        }
    }
}

/// What the thread writes to, up to and including the last words.
struct Stderr {
    descriptor: File,
    end: Option<Sender<Infallible>>,
}

impl Write for Stderr {
    /// Writes all there is or fails, so that each call is about a new line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match line.strip_prefix(&[LAST_WORDS]) {
            None => self.put(line)?,
            Some(last_words) => {
                if let Some(_end) = self.end.take() {
                    let mut lines = last_words.split_inclusive(|byte| *byte == b'\n');
                    lines.try_for_each(|line| self.put(line))?;
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stderr {
    /// Writes a line.
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = Line {
            text: &String::from_utf8_lossy(line),
            limit: LINE_CHARACTERS,
        };
        self.descriptor.write_all(format!("{line}\n").as_bytes())
    }
}

/// How many lines stderr was too slow for.
#[derive(Clone)]
pub(crate) struct DroppedLines(ErrorCounter);

impl DroppedLines {
    pub(crate) fn count(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

/// Has our own messages written at the level asked for, those of libraries only from warnings up.
///
/// # Errors
/// There is no descriptor left.
pub(crate) fn start(level: LevelFilter) -> io::Result<Log> {
    let filter = Targets::new()
        .with_target("sensor", level)
        .with_target("container_engines", level)
        .with_target("rule_engine", level)
        .with_default(level.min(LevelFilter::WARN));
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let log = without_signals(|| without_capabilities(|| Log::new(stderr, QUEUE_LENGTH, END_LIMIT)));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(log.lines.clone())
        .with_target(false)
        .with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    let lines = log.lines.clone();
    panic::set_hook(Box::new(move |information| {
        for line in panic_lines(information) {
            let _ = lines.clone().write_all(line.as_bytes());
        }
    }));
    Ok(log)
}

/// What the standard library would write itself, and wait for stderr.
fn panic_lines(information: &PanicHookInfo<'_>) -> Vec<String> {
    let thread = thread::current();
    let mut lines = vec![format!(
        "thread '{}' {information}",
        thread.name().unwrap_or("<unnamed>")
    )];
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        lines.push("stack backtrace:".to_owned());
        lines.extend(backtrace.to_string().lines().map(str::to_owned));
    }
    lines
}

/// Threads that are started in here leave all signals to the others.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let started = start();
    // It was the thread's own mask, so it can be set again.
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read;

    fn pipe() -> (File, File) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        (File::from(reader), File::from(writer))
    }

    /// Says lines that are longer than the pipe, so that the thread is stuck, until the queue is full too.
    fn fill(log: &mut Log) {
        while log.dropped.count() == 0 {
            log.lines.write_all(&vec![b'x'; 1 << 20]).unwrap();
        }
    }

    /// What comes up to these words.
    fn read_to(reader: &mut File, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            let mut more = [0; 1024];
            let count = reader.read(&mut more).unwrap();
            bytes.extend(&more[..count]);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_last_words_are_written_once_after_the_lines_that_wait() {
        for is_full in [false, true] {
            let (mut reader, writer) = pipe();
            let mut log = Log::new(writer, 1, Duration::from_secs(30));
            log.lines.write_all(b"a line\n").unwrap();
            if is_full {
                fill(&mut log);
            }
            let reading = thread::spawn(move || read_to(&mut reader, "\nlast\n"));
            log.finish("\nlast\n");
            let text = reading.join().unwrap();
            assert_eq!(text.contains("lines were not written here"), is_full);
            assert!(text.starts_with("a line\n"));
            assert_eq!(text.matches("last").count(), 1);
        }
    }

    #[test]
    fn whatever_stands_in_a_line_it_is_one_line_that_no_terminal_obeys() {
        let (mut reader, writer) = pipe();
        let mut log = Log::new(writer, 100, Duration::from_secs(30));
        let hostile = "a\u{1b}[2J\r\u{202e}b\nforged `\\u{1b}`\n";
        log.lines.write_all(hostile.as_bytes()).unwrap();
        log.lines.write_all(&[b'x'; 1 << 20]).unwrap();
        log.finish("last\u{1b}\nwords\n");
        let text = read_to(&mut reader, "words\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a\\u{1b}[2J\\r\\u{202e}b\\nforged `\\u{1b}`");
        assert!(lines[1].ends_with("x…[1048576 bytes]") && lines[1].len() < 2 * LINE_CHARACTERS);
        assert_eq!(lines[2..], ["last\\u{1b}", "words"]);
    }

    #[test]
    fn a_stderr_that_takes_nothing_does_not_hold_up_the_end() {
        let (_reader, writer) = pipe();
        let mut log = Log::new(writer, 1, Duration::ZERO);
        fill(&mut log);
        log.finish("last\n");
    }
}
