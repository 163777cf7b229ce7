//! A rule's own examples: events with what the rule must say to them, in its file under `[engine]`, or as
//! [`ParseOptions::with_own_table`](crate::ParseOptions::with_own_table) names the table.
//!
//! ```toml
//! [engine.every_event]             # fields that each example's events have unless they say otherwise
//! host.os.type = "linux"
//! container.id = "0123456789ab"
//!
//! [[engine.examples]]
//! name = "curl is installed"
//! expect = "match"                 # or "no-match"; what counts is the last event
//! events = [{ process.name = "apt", process.args = ["apt", "install", "curl"] }]
//!
//! [[engine.examples]]
//! name = "the same on the host"
//! expect = "no-match"
//! events = [{ process.name = "apt", process.args = ["apt", "install", "curl"], container.id = [] }]
//! ```

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::keys;
use super::table::Table;
use crate::diagnostic::{Code, Findings};
use crate::record::{DocumentCounts, Record};
use crate::schema::Schema;

/// An event, or several in a row, with what the rule must say to the last of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// ECS documents, oldest first, at least one.
    pub events: Vec<Map<String, Json>>,
    /// What the rule must say to the last event.
    pub expect: Expectation,
}

/// Whether a rule matches an example.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// It does.
    Match,
    /// It does not.
    NoMatch,
}

/// Reads the examples from the file's own table of the engine.
pub(super) fn read(schema: &Schema, own: Table<'_>, findings: &mut Findings) -> Vec<Example> {
    let every_event = own
        .table("every_event", findings)
        .map(|table| table.object())
        .unwrap_or_default();
    let tables = own.tables("examples", findings);
    tables
        .into_iter()
        .filter_map(|table| read_example(schema, table, &every_event, findings))
        .collect()
}

fn read_example(
    schema: &Schema,
    table: Table<'_>,
    every_event: &Map<String, Json>,
    findings: &mut Findings,
) -> Option<Example> {
    keys::check_table(table, &["name", "expect", "events"], findings);
    let name = table.text("name", findings);
    let expect = table.text("expect", findings).and_then(|expect| match expect.value {
        "match" => Some(Expectation::Match),
        "no-match" => Some(Expectation::NoMatch),
        other => {
            findings.add(
                expect.span,
                Code::BadValue,
                format!("`{other}` is neither `match` nor `no-match`"),
            );
            None
        }
    });
    let mut events = Vec::new();
    for event in table.tables("events", findings) {
        let mut document = every_event.clone();
        merge(&mut document, event.object());
        let counts = Record::with_schema(schema).fill_from_document(&document);
        if counts != DocumentCounts::default() {
            let message = format!(
                "the example's event has {} unknown fields and {} values that do not fit theirs",
                counts.unknown_fields, counts.unfit_values
            );
            findings.add(event.span, Code::BadExample, message);
        }
        events.push(document);
    }
    let (Some(name), Some(expect), false) = (name, expect, events.is_empty()) else {
        findings.add(
            table.span,
            Code::BadExample,
            "an example needs `name`, `expect` and at least one of `events`",
        );
        return None;
    };
    Some(Example {
        name: name.value.to_owned(),
        events,
        expect,
    })
}

/// Puts `over` on top of `document`, table by table.
fn merge(document: &mut Map<String, Json>, over: Map<String, Json>) {
    for (key, value) in over {
        match (document.get_mut(&key), value) {
            (Some(Json::Object(below)), Json::Object(above)) => merge(below, above),
            (_, value) => {
                document.insert(key, value);
            }
        }
    }
}
