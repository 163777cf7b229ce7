//! Which rules read an event that names the data stream that it is in.

use super::bits::Bits;
use crate::limits::{MAX_KNOWN_STREAMS, MAX_STREAM_NAME_BYTES};
use crate::record::Record;
use crate::record::streams::{IndexPatterns, write_own_stream};
use crate::value::hash::HashMap;

/// The streams that events named so far, which are looked up once for all of their events.
#[derive(Debug, Default)]
pub(super) struct StreamReaders {
    known: HashMap<Box<str>, Bits>,
    /// The name of the present event's.
    name: String,
    unread_events: u64,
}

impl StreamReaders {
    /// Makes `ways` those of rules that read the stream that the event names, of ways of rules with these patterns; gives
    /// whether it names one.
    pub(super) fn find<'a>(
        &mut self,
        record: &Record,
        patterns: impl ExactSizeIterator<Item = &'a IndexPatterns>,
        ways: &mut Bits,
    ) -> bool {
        if !write_own_stream(record, &mut self.name) {
            return false;
        }
        match self.known.get(&*self.name) {
            Some(readers) => ways.copy_from(readers),
            None => {
                let count = patterns.len();
                let reading = patterns.zip(0..).filter(|(patterns, _)| patterns.name(&self.name));
                *ways = Bits::of(reading.map(|(_, way)| way), count);
                if self.known.len() < MAX_KNOWN_STREAMS && self.name.len() <= MAX_STREAM_NAME_BYTES {
                    self.known.insert(self.name.as_str().into(), ways.clone());
                }
            }
        }
        self.unread_events += u64::from(ways.is_empty());
        true
    }

    /// How many events were of streams that no rule reads, and the names of these streams, sorted, as far as they are
    /// known.
    pub(super) fn unread(&self) -> (u64, Vec<String>) {
        let unread = self.known.iter().filter(|(_, readers)| readers.is_empty());
        let mut names: Vec<String> = unread.map(|(name, _)| name.to_string()).collect();
        names.sort_unstable();
        (self.unread_events, names)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::compile::rules::Rules;
    use crate::fixture::parse;
    use crate::limits::MAX_KNOWN_STREAMS;
    use crate::run::counters::ScreenCounts;
    use crate::run::engine::Engine;
    use crate::run::history::MemoryHistory;
    use crate::run::options::EngineOptions;
    use crate::run::screen::Screen;
    use crate::schema::Schema;

    fn engine(rules: &[(&str, &str)]) -> (Screen, Engine) {
        let rules = rules.iter().map(|(id, index)| {
            let text = format!(
                "[rule]\nrule_id = \"{id}\"\nname = \"n\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
                 index = {index}\ntype = \"eql\"\nquery = '''process where process.name == \"a\"'''"
            );
            parse(&text).expect("a sound rule")
        });
        let rules = Rules::compile(&Schema::ecs(), rules.collect());
        (Screen::new(&rules), Engine::new(rules, EngineOptions::default()))
    }

    /// The ids of the rules that match this event.
    fn matched((screen, engine): &mut (Screen, Engine), stream: &serde_json::Value) -> String {
        let event = json!({ "event.category": "process", "process.name": "a", "data_stream": stream });
        let mut record = engine.rules().narrow_record();
        record.fill_from_document(event.as_object().expect("an object"));
        let mut ids = String::new();
        engine.evaluate(&record, &mut MemoryHistory::default(), &mut |found| {
            ids.push_str(&found.rule.rule_id);
        });
        assert_eq!(screen.takes_in(&record), !ids.is_empty());
        ids
    }

    const RULES: [(&str, &str); 4] = [
        ("a", "[\"logs-endpoint.events.process*\"]"),
        ("b", "[\"auditbeat-*\", \"logs-auditd*\"]"),
        ("c", "[]"),
        ("d", "[\"logs-*\", \"-logs-*-test\"]"),
    ];

    #[test]
    fn an_event_is_read_by_the_rules_that_name_its_stream() {
        let mut engine = engine(&RULES);
        for (stream, expected) in [
            (json!({}), "acd"),
            (json!({"namespace": "default", "type": "logs"}), "acd"),
            (
                json!({"type": "logs", "dataset": "endpoint.events.process", "namespace": "default"}),
                "acd",
            ),
            (json!({"dataset": "endpoint.events.process"}), "acd"),
            (
                json!({"dataset": ["auditd_manager.auditd"], "namespace": ["prod"]}),
                "bcd",
            ),
            (json!({"dataset": "endpoint.events.process", "namespace": "test"}), "ac"),
            (json!({"type": "metrics", "dataset": "endpoint.events.process"}), "c"),
            (json!({"dataset": "endpoint.events.file"}), "cd"),
        ] {
            for _ in 0..2 {
                assert_eq!(matched(&mut engine, &stream), expected, "{stream}");
            }
        }
        assert_eq!(engine.0.counts(), ScreenCounts::default());
    }

    #[test]
    fn streams_that_no_rule_reads_are_told_and_no_more_than_a_thousand_known() {
        let mut engine = engine(&RULES[..2]);
        for dataset in ["system.auth", "endpoint.events.process", "other", "system.auth"] {
            matched(&mut engine, &json!({ "dataset": dataset }));
        }
        let counts = engine.0.counts();
        assert_eq!(counts.unread_events, 3);
        assert_eq!(
            counts.unread_streams,
            ["logs-other-default", "logs-system.auth-default"]
        );
        for number in 0..MAX_KNOWN_STREAMS {
            matched(&mut engine, &json!({ "dataset": format!("other-{number}") }));
        }
        let counts = engine.0.counts();
        assert_eq!(counts.unread_events as usize, 3 + MAX_KNOWN_STREAMS);
        assert_eq!(counts.unread_streams.len(), MAX_KNOWN_STREAMS - 1);
        assert_eq!(
            matched(&mut engine, &json!({"dataset": "endpoint.events.process.more"})),
            "a"
        );
    }
}
