//! Which keys a rule file may have. One that no rule of its type has would be left out in silence, and the rule would
//! mean something else than its author wrote.

use super::kinds::RuleType;
use super::table::{Located, Table};
use crate::diagnostic::{Code, Findings};
use crate::schema::nearest;

/// Tables of the file beside the engine's own.
const OF_FILE: &[&str] = &["metadata", "rule", "transform"];

/// Keys of every rule, in files and in what Kibana exports; most are only for people, or for Kibana.
const OF_EVERY_RULE: &[&str] = &[
    "actions",
    "alias_purpose",
    "alias_target_id",
    "author",
    "building_block_type",
    "created_at",
    "created_by",
    "description",
    "enabled",
    "exceptions_list",
    "execution_summary",
    "false_positives",
    "from",
    "id",
    "immutable",
    "interval",
    "investigation_fields",
    "license",
    "max_signals",
    "meta",
    "name",
    "namespace",
    "note",
    "outcome",
    "output_index",
    "references",
    "related_integrations",
    "required_fields",
    "response_actions",
    "revision",
    "risk_score",
    "risk_score_mapping",
    "rule_id",
    "rule_name_override",
    "rule_source",
    "setup",
    "severity",
    "severity_mapping",
    "tags",
    "threat",
    "throttle",
    "timeline_id",
    "timeline_title",
    "timestamp_override",
    "timestamp_override_fallback_disabled",
    "to",
    "type",
    "updated_at",
    "updated_by",
    "version",
];

/// Keys of every rule of a type that runs here: all of these have a query.
const OF_QUERIES: &[&str] = &[
    "alert_suppression",
    "data_view_id",
    "filters",
    "index",
    "language",
    "query",
];

/// Tells of keys that no such file has. A type that is not known is another finding's concern.
pub(super) fn check_file(file: Table<'_>, own_table: &str, findings: &mut Findings) {
    check(file, "a rule file", &[OF_FILE, &[own_table]], findings);
}

pub(super) fn check_rule(rule: Table<'_>, rule_type: RuleType, findings: &mut Findings) {
    let of_type: &[&str] = match rule_type {
        RuleType::Eql => &["event_category_override", "tiebreaker_field", "timestamp_field"],
        RuleType::Query => &["saved_id"],
        RuleType::NewTerms => &["history_window_start", "new_terms", "new_terms_fields"],
        RuleType::Threshold => &["saved_id", "threshold"],
    };
    let whose = format!("a rule of type `{}`", rule_type.as_str());
    check(rule, &whose, &[OF_EVERY_RULE, OF_QUERIES, of_type], findings);
}

/// Tells of keys of a table of the rule that has only these.
pub(super) fn check_table(table: Table<'_>, known: &[&str], findings: &mut Findings) {
    check(table, &format!("`[{}]`", table.name), &[known], findings);
}

fn check(table: Table<'_>, whose: &str, known: &[&[&str]], findings: &mut Findings) {
    let known = || known.iter().flat_map(|keys| keys.iter().copied());
    for Located { value: key, span } in table.keys() {
        if known().any(|name| name == key) {
            continue;
        }
        let finding = findings.add(span, Code::UnknownKey, format!("unknown key `{key}` in {whose}"));
        if let Some(meant) = nearest(key, known()) {
            finding.help(format!("did you mean `{meant}`?"));
        }
    }
}
