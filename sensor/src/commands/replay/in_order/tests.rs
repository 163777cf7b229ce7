use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};

use proptest::prelude::*;
use rule_engine::{Record, Rules, Schema};
use serde_json::json;

use super::*;
use crate::commands::recording::reading::{Readers, Wanted};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE_MS: i64 = 60_000;
const YEAR_MS: i64 = 365 * 24 * 60 * MINUTE_MS;

fn document(number: usize, time_ms: i64) -> String {
    json!({"@timestamp": time_ms, "number": number}).to_string() + "\n"
}

/// The documents of an input, all of them whole.
fn in_order<I: Input>(input: I) -> InOrder<I> {
    let rules = Rules::compile(&Schema::ecs(), Vec::new());
    let readers = Readers::start(2, &Record::new(), &rules, Wanted::All).expect("threads");
    InOrder::new(Recording::new(input, rules.schema(), readers), HOUR)
}

/// Documents at these times, in this order.
fn recording(times_ms: &[i64]) -> InOrder<BufReader<std::io::Cursor<Vec<u8>>>> {
    let lines = times_ms
        .iter()
        .enumerate()
        .map(|(number, time_ms)| document(number, *time_ms));
    let input = BufReader::new(std::io::Cursor::new(lines.collect::<String>().into_bytes()));
    in_order(input)
}

/// The numbers of the documents as they are taken.
fn taken(documents: &mut InOrder<impl Input>) -> Vec<u64> {
    let mut taken = Vec::new();
    loop {
        match documents.next().expect("no error of reading") {
            Next::Document(document) => taken.push(document.line - 1),
            Next::Pause => {}
            Next::End => return taken,
        }
    }
}

/// Numbers by time, those of one time by arrival.
fn sorted(times_ms: &[i64]) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..times_ms.len() as u64).collect();
    numbers.sort_by_key(|number| times_ms[*number as usize]);
    numbers
}

proptest! {
    #[test]
    fn what_comes_late_by_the_span_at_most_is_taken_in_order(
        events in prop::collection::vec((0..400_i64, 0..=60_i64), 0..60),
    ) {
        // At these minutes, each late by so many; many at the same.
        let mut events = events;
        events.sort_by_key(|(minute, late)| minute + late);
        let times_ms: Vec<i64> = events.iter().map(|(minute, _)| minute * MINUTE_MS).collect();
        let mut documents = recording(&times_ms);
        prop_assert_eq!(taken(&mut documents), sorted(&times_ms));
        prop_assert_eq!(documents.counts, OrderCounts::default());
    }

    #[test]
    fn each_document_is_taken_once_whatever_the_times(
        times_ms in prop::collection::vec(prop_oneof![0..400 * MINUTE_MS, any::<i64>()], 0..60),
        max_held_bytes in 0..3_000_usize,
    ) {
        let mut documents = recording(&times_ms);
        documents.max_held_bytes = max_held_bytes;
        let mut numbers = Vec::new();
        while let Next::Document(document) = documents.next().expect("no error of reading") {
            numbers.push(document.line - 1);
            let held = documents.held.values().map(Held::bytes).sum::<usize>();
            prop_assert_eq!(documents.held_bytes, held);
            // One line more is read before the limit is looked at.
            prop_assert!(documents.is_at_end || documents.held_bytes <= max_held_bytes + HELD_BYTES + 100);
        }
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..times_ms.len() as u64).collect::<Vec<u64>>());
    }
}

#[test]
fn what_comes_later_than_the_span_is_taken_as_it_comes_and_counted() {
    let mut documents = recording(&[0, 200, 200, 139, 140, 100].map(|minute| minute * MINUTE_MS));
    assert_eq!(taken(&mut documents), [0, 3, 4, 5, 1, 2]);
    let late = OrderCounts { late: 2, overtaken: 0 };
    assert_eq!(documents.counts, late);
}

#[test]
fn past_the_limit_the_earliest_do_not_wait_and_what_they_should_have_waited_for_is_counted() {
    let times_ms = [1, 3, 2, 5, 4, 0].map(|minute| minute * MINUTE_MS);
    let mut documents = recording(&times_ms);
    documents.max_held_bytes = 3 * (HELD_BYTES + document(0, times_ms[0]).len());
    assert_eq!(taken(&mut documents), [0, 2, 1, 5, 4, 3]);
    let overtaken = OrderCounts { late: 0, overtaken: 1 };
    assert_eq!(documents.counts, overtaken);
}

#[test]
fn one_document_from_the_future_moves_nothing() {
    let times_ms = [0, 2, YEAR_MS, 1, 4, 3, -YEAR_MS, 6, 5];
    let mut documents = recording(&times_ms);
    assert_eq!(taken(&mut documents), [6, 0, 3, 1, 5, 4, 8, 7, 2]);
    let one_from_the_past = OrderCounts { late: 1, overtaken: 0 };
    assert_eq!(documents.counts, one_from_the_past);
}

#[test]
fn a_document_without_a_time_stands_where_it_came() {
    let lines = [
        "{}",
        r#"{"@timestamp": 2}"#,
        "{}",
        r#"{"@timestamp": 1}"#,
        r#"{"@timestamp": 3}"#,
    ];
    let input = lines.join("\n");
    let mut documents = in_order(BufReader::new(input.as_bytes()));
    assert_eq!(taken(&mut documents), [0, 3, 1, 2, 4]);
}

/// A pipe that gives bytes, or has nothing to read for so long.
enum Step {
    Bytes(Vec<u8>),
    Silence(Duration),
}

/// A pipe that does this.
#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    waited: Duration,
}

impl Script {
    fn gives(mut self, text: &str) -> Script {
        self.steps.push_back(Step::Bytes(text.into()));
        self
    }

    fn rests(mut self, milliseconds: u64) -> Script {
        self.steps.push_back(Step::Silence(Duration::from_millis(milliseconds)));
        self
    }
}

impl Read for Script {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl BufRead for Script {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while matches!(self.steps.front(), Some(Step::Bytes(bytes)) if bytes.is_empty()) {
            self.steps.pop_front();
        }
        match self.steps.front() {
            Some(Step::Bytes(bytes)) => Ok(bytes),
            Some(Step::Silence(_)) => panic!("reading would hang"),
            None => Ok(&[]),
        }
    }

    fn consume(&mut self, count: usize) {
        if let Some(Step::Bytes(bytes)) = self.steps.front_mut() {
            bytes.drain(..count);
        }
    }
}

impl Input for Script {
    fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        while matches!(self.steps.front(), Some(Step::Bytes(bytes)) if bytes.is_empty()) {
            self.steps.pop_front();
        }
        let Some(Step::Silence(rest)) = self.steps.front_mut() else {
            return Ok(true);
        };
        let passed = at_most.min(*rest);
        *rest -= passed;
        self.waited += passed;
        if rest.is_zero() {
            self.steps.pop_front();
            return Ok(true);
        }
        Ok(false)
    }

    fn waited(&self) -> Duration {
        self.waited
    }
}

/// What is taken of the pipe and after how many milliseconds of waiting.
fn live(script: Script) -> Vec<(u64, u128)> {
    let mut documents = in_order(script);
    let mut taken = Vec::new();
    // Whether what was taken so far can be written before there is anything to wait for.
    let mut is_told = true;
    loop {
        let waited_before = documents.recording.input.waited;
        let next = documents.next().expect("no error of reading");
        let waited = documents.recording.input.waited;
        assert!(is_told || waited == waited_before);
        match next {
            Next::Document(document) => {
                taken.push((document.line - 1, waited.as_millis()));
                is_told = false;
            }
            Next::Pause => is_told = true,
            Next::End => return taken,
        }
    }
}

#[test]
fn a_live_pipe_is_waited_for_a_second_and_no_longer() {
    let disordered = document(0, 2) + &document(1, 1);
    let script = Script::default()
        .gives(&disordered)
        .rests(300)
        .gives(&document(2, 0))
        .rests(5_000)
        .gives(&document(3, 3));
    let taken = live(script);
    assert_eq!(
        taken.iter().map(|(number, _)| *number).collect::<Vec<u64>>(),
        [2, 1, 0, 3]
    );
    assert!(
        taken[..3].iter().all(|(_, waited)| (500..=1_500).contains(waited)),
        "{taken:?}"
    );
}

#[test]
fn half_a_line_keeps_no_whole_one_waiting() {
    let half = document(1, 2);
    let (beginning, rest) = half.split_at(9);
    let script = Script::default()
        .gives(&(document(0, 1) + beginning))
        .rests(5_000)
        .gives(rest);
    let taken = live(script);
    assert!(taken[0].0 == 0 && taken[0].1 <= 1_500, "{taken:?}");
    assert_eq!(taken.len(), 2);
}

#[test]
fn a_live_pipe_that_never_rests_is_waited_for_no_longer_either() {
    let script = (0..200).fold(Script::default(), |script, number| {
        script.gives(&document(number, number as i64)).rests(50)
    });
    for (number, waited) in live(script) {
        let came = u128::from(number) * 50;
        assert!(
            (came + 400..=came + 1_600).contains(&waited) || number > 175,
            "{number} after {waited}"
        );
    }
}
