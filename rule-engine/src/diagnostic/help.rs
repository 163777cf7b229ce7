//! What helps against each kind of finding, where the finding itself says nothing more precise.

/// Every code that this crate's findings have, sorted, with its help. docs/diagnostics.md says what each means.
const HELP: [(&str, &str); 55] = [
    (
        "bad-example",
        "an example has a `name`, `expect` (`match` or `no-match`) and `events`, a list of ECS documents",
    ),
    ("bad-value", "see docs/rules.md for the values that this key takes"),
    (
        "constant",
        "compare a field with a value; a constant condition can be left out",
    ),
    (
        "costly",
        "put a test beside it that few events pass, such as one of `process.name`",
    ),
    (
        "exceptions-not-in-file",
        "write the list's items into the file as `entries`, or export the rule with its exceptions",
    ),
    (
        "field-comparison",
        "a field is compared with a value; functions such as `startsWith~(a, b)` take fields on both sides",
    ),
    ("field-group", "name one of the fields below it"),
    ("file-too-long", "one file holds one rule; split it"),
    ("function-arguments", "see docs/rules.md for what each function takes"),
    (
        "index-without-source",
        "the sensor's events are in `logs-endpoint.events.process-*` and `logs-cloud_defend.process-*`",
    ),
    ("json", "each line is one JSON object, as Kibana exports them"),
    ("list-too-long", "use patterns with `*`, or split the rule"),
    ("matches-everything", "write what the rule is to look for"),
    ("missing-key", "add the key to the table `[rule]`"),
    (
        "missing-without-maxspan",
        "add `with maxspan=T`, such as `with maxspan=5m`",
    ),
    ("more-findings", "mend the ones shown first"),
    (
        "nested-objects",
        "if the parts have to be of one object, test a field that only this object has",
    ),
    ("nested-query", "name the fields below it with their whole names"),
    ("nesting", "take parentheses out, or split the rule"),
    (
        "never-matches",
        "take the part out, or keep it for events of other producers",
    ),
    ("no-effect", "take the key out"),
    (
        "no-rules",
        "a file of exported rules has one JSON document a line, each a rule or an exception item",
    ),
    ("not-a-condition", "compare it: `field == \"value\"`"),
    ("not-a-field", "write a field's name, such as `process.entity_id`"),
    ("number-too-large", "whole numbers have 64 bits"),
    ("pattern-too-long", "use a shorter part of it between `*`"),
    (
        "pipe",
        "events come without end here, so nothing can be counted behind them; use a threshold rule",
    ),
    ("query-too-long", "split the rule"),
    (
        "range-wildcard",
        "a range is compared with one value: `process.pid > 100`",
    ),
    (
        "regex",
        "the dialect is Lucene's; a backslash takes a character's meaning away",
    ),
    (
        "regex-too-large",
        "use lower counts in `{n,m}`, or several shorter patterns",
    ),
    (
        "sample",
        "write `sequence by` for events in an order, or a threshold rule for a number of them",
    ),
    (
        "sequence-keys",
        "give each event in brackets as many fields behind `by`",
    ),
    ("sequence-too-long", "use fewer events, or a lower `runs`"),
    ("single-equals", "write `==`"),
    ("single-quotes", "write double quotes"),
    (
        "syntax",
        "see docs/rules.md, or Elastic's reference of the rule's language",
    ),
    ("toml", "the file has to be TOML: https://toml.io"),
    ("too-many-fields", "name fewer fields, or a wildcard that means fewer"),
    ("type-mismatch", "write a value of the field's type"),
    ("unclosed-comment", "end the comment with `*/`"),
    ("unclosed-name", "end the name with a backtick"),
    ("unclosed-text", "end the text with the quotes that it begins with"),
    (
        "unexpected-character",
        "put text into double quotes, and names with unusual characters into backticks",
    ),
    (
        "unknown-escape",
        "write `\\\\` for a backslash, or the text between three double quotes, where it means nothing",
    ),
    (
        "unknown-field",
        "write `?` before the name if the field may be missing from the schema",
    ),
    ("unknown-function", "see docs/rules.md for the functions that there are"),
    (
        "unknown-key",
        "take it out, or see docs/rules.md for the keys that there are",
    ),
    (
        "unknown-type",
        "types that run are `eql`, `query`, `new_terms` and `threshold`",
    ),
    (
        "unsupported-exception",
        "write what it excludes with entries of the types that docs/rules.md names",
    ),
    ("unsupported-filter", "write it into the query"),
    ("unsupported-key", "take it out if the rule means the same without it"),
    ("unsupported-language", "languages that run are `eql` and `kuery`"),
    (
        "unsupported-type",
        "types that run are `eql`, `query`, `new_terms` and `threshold`; the others need Elasticsearch",
    ),
    ("wrong-type", "see docs/rules.md for what the key takes"),
];

pub(super) fn of_code(code: &str) -> Option<&'static str> {
    let found = HELP.binary_search_by_key(&code, |(known, _)| known).ok()?;
    Some(HELP[found].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_and_documented() {
        let rows = include_str!("../../../docs/diagnostics.md").lines();
        let documented: Vec<&str> = rows
            .skip_while(|line| *line != "## Of a rule")
            .take_while(|line| *line != "## Of a set of rule files")
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let codes: Vec<&str> = HELP.iter().map(|(code, _)| *code).collect();
        assert_eq!(documented, codes);
        for (code, help) in HELP {
            assert_eq!(of_code(code), Some(help), "{code} stands where it is not looked for");
        }
    }
}
