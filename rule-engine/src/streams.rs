//! Which events a rule reads: its `index` patterns against the data streams that an event counts as being in.
//!
//! An event of category C is in `logs-endpoint.events.C-default` and in `logs-cloud_defend.C-default`. The patterns
//! are resolved once for the categories that ECS knows, so that an event costs one comparison of bit sets.

use crate::condition::{Condition, FieldCondition, Pattern, Test};
use crate::field_reference::Case;
use crate::matcher::{FoldBuffer, PatternSet};
use crate::record::{Record, Value};
use crate::schema::fields;

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
/// The categories of the events that the sensor makes.
const PRODUCED: [&str; 1] = ["process"];
const DATA_STREAMS: [&str; 2] = ["logs-endpoint.events.", "logs-cloud_defend."];
const NAMESPACE: &str = "-default";

/// A set of event categories.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Categories(u32);

impl Categories {
    pub const ALL: Categories = Categories(u32::MAX);

    /// The categories whose streams the index patterns name. A pattern after `-` takes away.
    pub fn read_by(index: &[String]) -> Categories {
        let named = |pattern: &str| {
            let pattern = PatternSet::new(&[Pattern::from_index(pattern)], Case::Sensitive);
            let scratch = FoldBuffer::default();
            let read = |category: &str| {
                DATA_STREAMS
                    .iter()
                    .any(|stream| pattern.matches(&format!("{stream}{category}{NAMESPACE}"), &scratch))
            };
            from_names(CATEGORIES.into_iter().filter(|category| read(category)))
        };
        index
            .iter()
            .fold(Categories(0), |read, pattern| match pattern.strip_prefix('-') {
                Some(excluded) => Categories(read.0 & !named(excluded)),
                None => Categories(read.0 | named(pattern)),
            })
    }

    /// The category that an EQL query begins with; all if it is `any`, or none that ECS knows.
    pub fn asked_for(condition: &Condition) -> Categories {
        let Condition::All(parts) = condition else {
            return Categories::ALL;
        };
        match parts.first() {
            Some(Condition::Field(FieldCondition {
                field,
                test: Test::TextIn(names, _),
            })) if field.field == fields::EVENT_CATEGORY => match from_names(names.iter().map(String::as_str)) {
                0 => Categories::ALL,
                categories => Categories(categories),
            },
            _ => Categories::ALL,
        }
    }

    /// The categories of an event. One that says none, or one that ECS does not know, may be in any stream.
    pub fn of(record: &Record) -> Categories {
        let names = record.values(fields::EVENT_CATEGORY).filter_map(|value| match value {
            Value::Text(name) => Some(name),
            _ => None,
        });
        match from_names(names) {
            0 => Categories::ALL,
            categories => Categories(categories),
        }
    }

    /// How many categories ECS knows.
    pub const COUNT: usize = CATEGORIES.len();

    /// The numbers of those in the set that ECS knows, each below [`Categories::COUNT`].
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        let mut left = self.0 & ((1 << Self::COUNT) - 1);
        std::iter::from_fn(move || {
            let number = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (number < Self::COUNT).then_some(number)
        })
    }

    pub fn overlaps(self, other: Categories) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the sensor makes events of one of the categories.
    pub fn has_source(self) -> bool {
        self.0 & from_names(PRODUCED) != 0
    }
}

fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> u32 {
    names
        .into_iter()
        .filter_map(|name| CATEGORIES.iter().position(|category| *category == name))
        .fold(0, |set, position| set | 1 << position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_by(index: &[&str]) -> Categories {
        Categories::read_by(&index.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
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
        ] {
            assert_eq!(
                read_by(index).overlaps(event(Some(category))),
                reads,
                "{index:?} {category}"
            );
        }
        assert!(!read_by(&["logs-cloud_defend.file*"]).has_source());
    }

    #[test]
    fn an_event_without_a_known_category_may_be_in_any_stream() {
        assert!(read_by(&["logs-cloud_defend.file*"]).overlaps(event(None)));
        assert!(read_by(&["logs-cloud_defend.file*"]).overlaps(event(Some("weather"))));
    }
}
