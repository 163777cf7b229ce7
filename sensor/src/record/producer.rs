//! What the sensor's events hold, for the checks of rules: which fields are filled, and with which values where these
//! are few. The table beside this file says it; a test holds it against what the record builder fills.

use rule_engine::{DataStreams, ParseOptions, Producer};

use super::own::SCHEMA;

const FILLED: &str = include_str!("produced.tsv");
/// The table of a rule file that holds what Elastic's rules have no key for.
const OWN_TABLE: &str = "tidewaiter";

/// Reads rules for the sensor's events, which are in these data streams.
pub(crate) fn parse_options(streams: DataStreams) -> ParseOptions {
    ParseOptions::new(producer(streams)).with_own_table(OWN_TABLE)
}

fn producer(streams: DataStreams) -> Producer {
    let rows = FILLED.lines().filter(|row| !row.starts_with('#'));
    let fields: Vec<_> = rows
        .filter_map(|row| {
            let (name, values) = row.split_once('\t').unwrap_or((row, ""));
            let values = values.split(',').filter(|value| !value.is_empty());
            Some((SCHEMA.field(name)?, values.map(str::to_owned).collect()))
        })
        .collect();
    Producer::new(SCHEMA.clone())
        .with_streams(streams)
        .with_categories(&["process", "host"])
        .with_fields(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_names_a_field() {
        let names = FILLED.lines().filter(|row| !row.starts_with('#'));
        let names: Vec<&str> = names.map(|row| row.split('\t').next().unwrap_or(row)).collect();
        assert!(names.is_sorted(), "the rows are not sorted by name");
        let unknown: Vec<&&str> = names.iter().filter(|name| SCHEMA.field(name).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
