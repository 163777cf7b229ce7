use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::queue::OnClosed;
use super::stdout::{Destination, Flushed, Sink};
use super::text::{ReasonDetail, Style};
use super::*;
use crate::alert::complete::{CompleteContainer, Completion, MAX_AMENDABLE, MAX_PENDING};
use crate::alert::document::ContainerMetadata;
use crate::alert::sample::sample;
use crate::alert::{AMENDMENT, Alert};
use crate::telemetry::counts::OutputCounts;
use crate::text::document::Document;

const LONG: Duration = Duration::from_secs(30);
const TEXT: Form = Form::Text {
    style: Style::Plain,
    detail: ReasonDetail::Summary,
};

/// A router with one output, of JSON, that waits for no metadata.
fn start(destination: impl Destination + 'static) -> Router {
    start_with(destination, Form::Json, Duration::ZERO, complete(), Box::new(|| {}))
}

fn start_with(
    destination: impl Destination + 'static,
    form: Form,
    metadata_wait: Duration,
    complete: CompleteContainer,
    on_closed: OnClosed,
) -> Router {
    let output = Output::start(destination, on_closed).unwrap();
    let completion = Completion::new(complete, metadata_wait);
    Router::start(vec![(form, output)], completion).unwrap()
}

fn complete() -> CompleteContainer {
    Box::new(|_| ContainerMetadata::Complete)
}

fn pipe() -> (BufReader<File>, File) {
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    (BufReader::new(File::from(reader)), File::from(writer))
}

fn numbered(number: u64) -> Alert {
    let mut alert = sample();
    alert.event.insert("number".to_owned(), json!(number));
    alert
}

fn next_document(reader: &mut impl BufRead) -> Document {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Takes a few bytes at a time and fails now and then.
#[derive(Clone, Default)]
struct Unreliable {
    written: Arc<Mutex<Vec<u8>>>,
    calls: usize,
}

impl Write for Unreliable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 5 {
            0 => Err(io::Error::from(io::ErrorKind::StorageFull)),
            1 => Err(io::Error::from(io::ErrorKind::Interrupted)),
            2 => Err(io::Error::from(io::ErrorKind::WouldBlock)),
            _ => {
                let count = bytes.len().min(7);
                self.written.lock().unwrap().extend(&bytes[..count]);
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Destination for Unreliable {
    fn reader_is_gone(&self) -> bool {
        false
    }
}

#[test]
fn what_is_only_recorded_is_a_document_but_no_text() {
    let building_block = || {
        let mut alert = sample();
        Arc::make_mut(&mut alert.rule).building_block_type = Some("default".to_owned());
        alert
    };
    for (form, lines_with_it) in [(Form::Json, 2), (TEXT, 1)] {
        let (reader, writer) = pipe();
        let router = start_with(writer, form, Duration::ZERO, complete(), Box::new(|| {}));
        router.offer(building_block());
        router.offer(sample());
        router.finish(LONG);
        let alerts = reader
            .lines()
            .filter(|line| line.as_ref().unwrap().contains("Tool installed"));
        assert_eq!(alerts.count(), lines_with_it);
    }
}

#[test]
fn alerts_are_written_in_order_one_document_a_line() {
    let (mut reader, writer) = pipe();
    let router = start(writer);
    for number in 0..3 {
        router.offer(numbered(number));
    }
    router.offer(sample());
    for number in 0..3 {
        assert_eq!(next_document(&mut reader)["number"], number);
    }
    assert_eq!(next_document(&mut reader)["event"]["kind"], "signal");
    let counts = router.finish(LONG);
    assert_eq!(
        counts,
        OutputCounts {
            written: 4,
            ..OutputCounts::default()
        }
    );
}

#[test]
fn a_write_that_fails_is_repeated_without_losing_or_doubling_a_byte() {
    let destination = Unreliable::default();
    let mut sink = Sink::new(destination.clone());
    let mut failures = 0;
    for block in ["{\"number\":1}\n", "two\nlines\n"] {
        sink.put(block.as_bytes().to_vec());
        while sink.flush() != Flushed::Everything {
            failures += 1;
        }
    }
    assert!(failures > 0);
    assert_eq!(*destination.written.lock().unwrap(), b"{\"number\":1}\ntwo\nlines\n");
}

#[test]
fn a_full_disk_is_counted_and_does_not_stop_the_end() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let router = start_with(
        full,
        Form::Json,
        Duration::ZERO,
        complete(),
        Box::new(|| panic!("a full disk is not a closed pipe")),
    );
    router.offer(sample());
    router.offer(sample());
    let counts = router.finish(LONG);
    assert_eq!((counts.written, counts.lost), (0, 2));
}

#[test]
fn a_closed_pipe_is_noticed_at_the_next_alert() {
    let (reader, writer) = pipe();
    let (closed, noticed) = mpsc::channel();
    let router = start_with(
        writer,
        Form::Json,
        Duration::ZERO,
        complete(),
        Box::new(move || closed.send(()).unwrap()),
    );
    drop(reader);
    router.offer(sample());
    noticed.recv_timeout(LONG).unwrap();
    assert_eq!(router.finish(LONG).lost, 1);
}

#[test]
fn a_closed_pipe_is_noticed_without_an_alert() {
    let (reader, writer) = pipe();
    let (closed, noticed) = mpsc::channel();
    let router = start_with(
        writer,
        Form::Json,
        Duration::ZERO,
        complete(),
        Box::new(move || closed.send(()).unwrap()),
    );
    drop(reader);
    noticed.recv_timeout(LONG).unwrap();
    assert_eq!(router.finish(LONG), OutputCounts::default());
}

#[test]
fn what_a_full_queue_refuses_is_counted_and_the_rest_arrives() {
    let (mut reader, writer) = pipe();
    let router = start(writer);
    let mut offered = 0;
    // Nobody reads: the pipe fills, then the queue.
    while router.counts().refused == 0 {
        router.offer(numbered(offered));
        offered += 1;
    }
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text.lines().count() as u64
    });
    let counts = router.finish(LONG);
    assert_eq!(counts.lost, 0);
    assert_eq!(counts.written + counts.refused, offered);
    assert_eq!(reading.join().unwrap(), counts.written);
}

#[test]
fn who_waits_for_room_loses_nothing_and_waits_for_no_reader_that_is_gone() {
    let block = |number: u64| Block {
        bytes: format!("{number:0>65535}\n").into_bytes(),
        documents: 1,
        owner: Arc::default(),
    };
    for reads_on in [true, false] {
        let (reader, writer) = pipe();
        let (closed, noticed) = mpsc::channel();
        let output = Output::start(writer, Box::new(move || closed.send(()).unwrap())).unwrap();
        // Nobody reads: the pipe fills, then the queue.
        let mut taken = 0;
        while output.offer_if_room(block(taken)).is_ok() {
            taken += 1;
        }
        assert_eq!(output.counts().refused, 0);
        if reads_on {
            let reading = thread::spawn(move || -> Vec<u64> {
                reader.lines().map(|line| line.unwrap().parse().unwrap()).collect()
            });
            while output.offer_if_room(block(taken)).is_err() {
                thread::yield_now();
            }
            let counts = output.finish(LONG);
            assert_eq!((counts.written, counts.refused, counts.lost), (taken + 1, 0, 0));
            drop(output);
            assert!(reading.join().unwrap().into_iter().eq(0..=taken));
        } else {
            drop(reader);
            noticed.recv_timeout(LONG).unwrap();
            assert!(output.offer_if_room(block(taken)).is_ok());
            assert_eq!(output.finish(LONG).written + output.finish(LONG).lost, taken + 1);
        }
    }
}

#[test]
fn the_end_does_not_wait_for_a_reader_that_does_not_read_and_counts_what_is_lost() {
    let (_reader, writer) = pipe();
    let router = start(writer);
    let mut offered = 0;
    while router.counts().refused == 0 {
        router.offer(numbered(0));
        offered += 1;
    }
    let counts = router.finish(Duration::from_millis(500));
    assert!(counts.lost > 0);
    assert_eq!(counts.written + counts.refused + counts.lost, offered);
}

#[test]
fn an_alert_that_waits_for_metadata_does_not_hold_up_the_others() {
    let (mut reader, writer) = pipe();
    let known = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&known);
    let complete: CompleteContainer = Box::new(move |alert| {
        if alert.event.get("number") != Some(&json!(1)) {
            return ContainerMetadata::Complete;
        }
        match asked.load(Relaxed) {
            true => {
                alert.event.insert("container".to_owned(), json!({"name": "late"}));
                ContainerMetadata::Complete
            }
            false => ContainerMetadata::Pending,
        }
    });
    let metadata_wait = LONG;
    let router = start_with(writer, Form::Json, metadata_wait, complete, Box::new(|| {}));
    for number in 1..=2 {
        router.offer(numbered(number));
    }
    assert_eq!(next_document(&mut reader)["number"], 2);
    known.store(true, Relaxed);
    let late = next_document(&mut reader);
    assert_eq!(
        (&late["number"], &late["container"]["name"]),
        (&json!(1), &json!("late"))
    );
    assert_eq!(router.finish(LONG).without_metadata, 0);
}

#[test]
fn an_alert_goes_out_without_metadata_when_its_time_is_up() {
    let (mut reader, writer) = pipe();
    let router = start_with(
        writer,
        Form::Json,
        Duration::ZERO,
        Box::new(|_| ContainerMetadata::Pending),
        Box::new(|| {}),
    );
    router.offer(sample());
    assert_eq!(next_document(&mut reader)["event"]["kind"], "signal");
    assert_eq!(router.finish(LONG).without_metadata, 1);
}

#[test]
fn alerts_past_the_room_for_waiting_push_the_oldest_out() {
    let (mut reader, writer) = pipe();
    let metadata_wait = LONG;
    let router = start_with(
        writer,
        Form::Json,
        metadata_wait,
        Box::new(|_| ContainerMetadata::Pending),
        Box::new(|| {}),
    );
    for number in 0..=MAX_PENDING as u64 {
        router.offer(numbered(number));
    }
    assert_eq!(next_document(&mut reader)["number"], 0);
}

#[test]
fn the_end_does_not_wait_for_metadata() {
    let (mut reader, writer) = pipe();
    let metadata_wait = LONG * 1000;
    let router = start_with(
        writer,
        Form::Json,
        metadata_wait,
        Box::new(|_| ContainerMetadata::Pending),
        Box::new(|| {}),
    );
    router.offer(sample());
    let counts = router.finish(LONG);
    assert_eq!((counts.written, counts.without_metadata), (1, 1));
    assert_eq!(next_document(&mut reader)["event"]["kind"], "signal");
}

/// Gives each answer once, the last one for ever.
fn answers(answers: impl IntoIterator<Item = ContainerMetadata>) -> CompleteContainer {
    let mut answers: VecDeque<_> = answers.into_iter().collect();
    Box::new(move |alert| {
        let answer = match answers.len() {
            1 => answers[0],
            _ => answers.pop_front().unwrap(),
        };
        if answer == ContainerMetadata::Complete {
            alert
                .event
                .insert("container".to_owned(), json!({"id": "3f2a", "name": "late"}));
        }
        answer
    })
}

#[test]
fn an_alert_that_went_out_without_metadata_is_amended_under_the_same_identifier() {
    use ContainerMetadata::{Complete, Failed, Pending};
    for before in [vec![Pending, Pending, Complete], vec![Failed, Pending, Complete]] {
        let (mut reader, writer) = pipe();
        let router = start_with(writer, Form::Json, Duration::ZERO, answers(before), Box::new(|| {}));
        router.offer(sample());
        let first = next_document(&mut reader);
        let amendment = next_document(&mut reader);
        assert_eq!(first["kibana.alert.uuid"], amendment["kibana.alert.uuid"]);
        assert_eq!(first.get(AMENDMENT), None);
        assert_eq!(amendment[AMENDMENT], true);
        assert_eq!(amendment["container"]["name"], "late");
        let counts = router.finish(LONG);
        assert_eq!((counts.written, counts.without_metadata, counts.amended), (2, 1, 1));
    }
}

#[test]
fn an_amendment_for_a_person_tells_the_container_alone() {
    use ContainerMetadata::{Complete, Pending};
    let (mut reader, writer) = pipe();
    let router = start_with(
        writer,
        TEXT,
        Duration::ZERO,
        answers([Pending, Complete]),
        Box::new(|| {}),
    );
    router.offer(sample());
    let mut text = String::new();
    while !text.contains("of the alert before") {
        assert!(reader.read_line(&mut text).unwrap() > 0);
    }
    router.finish(LONG);
    reader.read_to_string(&mut text).unwrap();
    let (_, amendment) = text.split_once("of the alert before: ").unwrap();
    assert!(amendment.starts_with("Tool installed in a container"), "{amendment}");
    assert!(
        amendment.contains("late") && !amendment.contains("chain"),
        "{amendment}"
    );
}

#[test]
fn only_so_many_alerts_are_kept_for_amending() {
    let (mut reader, writer) = pipe();
    let router = start_with(
        writer,
        Form::Json,
        Duration::ZERO,
        answers([ContainerMetadata::Failed]),
        Box::new(|| {}),
    );
    for number in 0..=MAX_AMENDABLE as u64 {
        router.offer(numbered(number));
        next_document(&mut reader);
    }
    let counts = router.finish(LONG);
    assert_eq!((counts.without_metadata, counts.amended), (MAX_AMENDABLE as u64 + 1, 0));
}
