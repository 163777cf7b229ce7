//! Which events a rule reads: its `index` patterns against the data streams that an event counts as being in.
//!
//! An event that names its stream (`data_stream.*`) is in that one. Any other of category C is in
//! `logs-endpoint.events.C-default` and in `logs-cloud_defend.C-default`, or in the streams that the operator names. The
//! patterns are resolved once for the categories that ECS knows, and once for each stream that events name.

use super::{Record, Value};
use crate::schema::{FieldId, fields};
use crate::value::{Case, Pattern};

/// ECS's values of `event.category`, the one that is looked for most often first.
const CATEGORIES: [&str; 20] = [
    "process",
    "api",
    "authentication",
    "configuration",
    "database",
    "driver",
    "email",
    "file",
    "host",
    "iam",
    "intrusion_detection",
    "library",
    "malware",
    "network",
    "package",
    "registry",
    "session",
    "threat",
    "vulnerability",
    "web",
];
/// What an event's category stands for in the name of a data stream.
const PLACE: &str = "{category}";

/// The data streams that an event counts as being in, by its category.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataStreams(Vec<String>);

impl Default for DataStreams {
    /// Those of the agents that rules are written for.
    fn default() -> Self {
        let names = [
            "logs-endpoint.events.{category}-default",
            "logs-cloud_defend.{category}-default",
        ];
        DataStreams(names.map(str::to_owned).to_vec())
    }
}

impl DataStreams {
    /// Streams of these names, in each of which `{category}` stands for the event's category.
    ///
    /// # Errors
    /// A name without `{category}`.
    pub fn new(names: Vec<String>) -> Result<DataStreams, DataStreamError> {
        match names.iter().find(|name| !name.contains(PLACE)) {
            None => Ok(DataStreams(names)),
            Some(name) => Err(DataStreamError { name: name.clone() }),
        }
    }

    /// The streams that events of the categories are in; all categories at once stay `{category}`.
    pub(crate) fn names_for(&self, categories: Categories) -> Vec<String> {
        if categories == Categories::ALL {
            return self.0.clone();
        }
        let names = |stream: &String| -> Vec<String> {
            let categories = categories.numbers().map(|number| CATEGORIES[number]);
            categories.map(|category| stream.replace(PLACE, category)).collect()
        };
        self.0.iter().flat_map(names).collect()
    }
}

/// The name of a data stream does not say where the category stands in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{name}` does not say where `{PLACE}` stands")]
pub struct DataStreamError {
    /// The first such name.
    pub name: String,
}

/// The `index` patterns of a rule, in their order. Without any, it reads all streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexPatterns(Vec<IndexPattern>);

#[derive(Clone, Debug)]
struct IndexPattern {
    pattern: Pattern,
    /// It was written after `-`, so what it names is left out.
    is_taken_away: bool,
}

impl IndexPatterns {
    pub(crate) fn new<'a>(index: impl IntoIterator<Item = &'a str>) -> IndexPatterns {
        let pattern = |written: &str| {
            let excluded = written.strip_prefix('-');
            IndexPattern {
                pattern: Pattern::from_index(excluded.unwrap_or(written)),
                is_taken_away: excluded.is_some(),
            }
        };
        IndexPatterns(index.into_iter().map(pattern).collect())
    }

    /// Whether they name the stream.
    pub(crate) fn name(&self, stream: &str) -> bool {
        let named = |pattern: &&IndexPattern| pattern.pattern.matches(stream, Case::Sensitive);
        match self.0.iter().rev().find(named) {
            Some(last) => !last.is_taken_away,
            None => self.0.is_empty(),
        }
    }
}

/// The fields by which an event names the stream that it is in.
pub(crate) const OWN_STREAM: [FieldId; 3] = [
    fields::DATA_STREAM_TYPE,
    fields::DATA_STREAM_DATASET,
    fields::DATA_STREAM_NAMESPACE,
];

/// Writes the name of the stream that the event says it is in, and gives whether it says one. What else it leaves out is
/// what Elastic's agents would write.
pub(crate) fn write_own_stream(record: &Record, name: &mut String) -> bool {
    let Some(dataset) = record.first_text(fields::DATA_STREAM_DATASET) else {
        return false;
    };
    name.clear();
    name.push_str(record.first_text(fields::DATA_STREAM_TYPE).unwrap_or("logs"));
    name.push('-');
    name.push_str(dataset);
    name.push('-');
    name.push_str(record.first_text(fields::DATA_STREAM_NAMESPACE).unwrap_or("default"));
    true
}

/// A set of event categories.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Categories(u32);

impl Categories {
    pub(crate) const ALL: Categories = Categories(u32::MAX);

    /// The categories of which the index patterns name a stream.
    pub(crate) fn read_by(index: &IndexPatterns, streams: &DataStreams) -> Categories {
        if index.0.is_empty() {
            return Categories::ALL;
        }
        let is_read = |category: &&str| {
            let mut streams = streams.0.iter();
            streams.any(|stream| index.name(&stream.replace(PLACE, category)))
        };
        Categories(bits(CATEGORIES.into_iter().filter(is_read)))
    }

    /// The categories of an event. One that says none, or one that ECS does not know, may be in any stream.
    pub(crate) fn of(record: &Record) -> Categories {
        let names = record.values(fields::EVENT_CATEGORY).filter_map(|value| match value {
            Value::Text(name) => Some(name),
            _ => None,
        });
        Categories::from_names(names)
    }

    /// The categories of these names; all if ECS knows none of them.
    pub(crate) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Categories {
        match bits(names) {
            0 => Categories::ALL,
            categories => Categories(categories),
        }
    }

    /// How many categories ECS knows.
    pub(crate) const COUNT: usize = CATEGORIES.len();

    /// The numbers of those in the set that ECS knows, each below [`Categories::COUNT`].
    pub(crate) fn numbers(self) -> impl Iterator<Item = usize> {
        let mut left = self.0 & ((1 << Self::COUNT) - 1);
        std::iter::from_fn(move || {
            let number = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (number < Self::COUNT).then_some(number)
        })
    }

    pub(crate) fn overlaps(self, other: Categories) -> bool {
        self.0 & other.0 != 0
    }
}

fn bits<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    names
        .into_iter()
        .filter_map(|name| CATEGORIES.iter().position(|category| *category == name))
        .fold(0, |set, position| set | 1 << position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_by(index: &[&str]) -> Categories {
        Categories::read_by(&IndexPatterns::new(index.iter().copied()), &DataStreams::default())
    }

    fn event(category: Option<&str>) -> Categories {
        let mut record = Record::new();
        if let Some(category) = category {
            record.text(fields::EVENT_CATEGORY, category);
        }
        Categories::of(&record)
    }

    #[test]
    fn index_patterns_decide_which_categories_a_rule_reads() {
        for (index, category, reads) in [
            (&["logs-endpoint.events.process*"][..], "process", true),
            (&["logs-cloud_defend.process*"], "process", true),
            (&["logs-cloud_defend.process*"], "file", false),
            (&["logs-endpoint.events.*"], "file", true),
            (&["logs-*"], "process", true),
            (&["auditbeat-*", "endgame-*"], "process", false),
            (&["logs-*", "-logs-*.process-*"], "process", false),
            (&["logs-endpoint.events.process"], "process", false),
            (&["logs-*", "-logs-endpoint*"], "process", true),
            (&["logs-*", "-logs-*", "logs-endpoint*"], "process", true),
            (&["-logs-*"], "process", false),
            (&[], "process", true),
        ] {
            assert_eq!(
                read_by(index).overlaps(event(Some(category))),
                reads,
                "{index:?} {category}"
            );
        }
    }

    #[test]
    fn the_streams_of_events_can_be_others() {
        let streams = DataStreams::new(vec!["metrics-{category}.own".to_owned()]).expect("names with a category");
        let read = |index: &str| Categories::read_by(&IndexPatterns::new([index]), &streams);
        assert!(read("metrics-*").overlaps(event(Some("process"))));
        assert!(read("metrics-process.own").overlaps(event(Some("process"))));
        assert!(!read("logs-*").overlaps(event(Some("process"))));
        let named = DataStreams::new(vec!["a-{category}".to_owned(), "b".to_owned()]);
        assert_eq!(named, Err(DataStreamError { name: "b".to_owned() }));
    }

    #[test]
    fn an_event_without_a_known_category_may_be_in_any_stream() {
        assert!(read_by(&["logs-cloud_defend.file*"]).overlaps(event(None)));
        assert!(read_by(&["logs-cloud_defend.file*"]).overlaps(event(Some("weather"))));
    }
}
