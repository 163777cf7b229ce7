//! A rule's exceptions and filters: which events it looks at, whatever its query says.
//!
//! Both are taken in the form in which Kibana exports them and become one condition, which every event has to satisfy
//! before the rule sees it, also as an event of a sequence. A form that is not read is an error that names it: left
//! out, the rule would mean something else.

use super::keys;
use super::table::{Located, Table};
use crate::condition::{Condition, Test};
use crate::diagnostic::{Code, Findings, Span};
use crate::language::{ParseOptions, check_pattern_length, kql, query_dsl};
use crate::schema::{FieldReference, fields};
use crate::value::{Case, Order, Pattern, Symbol, timestamp};

/// Keys of an exception item, and of a reference to a list of them.
const OF_ITEM: &[&str] = &[
    "_version",
    "comments",
    "created_at",
    "created_by",
    "description",
    "entries",
    "expire_time",
    "id",
    "item_id",
    "list_id",
    "meta",
    "name",
    "namespace_type",
    "os_types",
    "tags",
    "tie_breaker_id",
    "type",
    "updated_at",
    "updated_by",
];

/// What an event has to satisfy for the rule to look at it.
pub(super) fn read(options: &ParseOptions, rule: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    let filters = rule.tables("filters", findings);
    let filters: Vec<_> = filters
        .into_iter()
        .map(|table| query_dsl::read(options, &table.object(), table.span, findings))
        .collect();
    let items = rule.tables("exceptions_list", findings);
    let items: Vec<_> = items.into_iter().map(|table| item(options, table, findings)).collect();
    let excepted = Condition::any(items.into_iter().collect::<Option<_>>()?);
    let mut conditions: Vec<Condition> = filters.into_iter().collect::<Option<_>>()?;
    conditions.push(excepted.negate());
    Some(Condition::All(conditions))
}

/// An exception: all of its entries hold, and the event is older than its end.
fn item(options: &ParseOptions, table: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    keys::check_table(table, OF_ITEM, findings);
    if !table.has("entries") {
        let list = table.text("list_id", findings).map_or("", |list| list.value);
        let message = format!("the items of the exception list `{list}` are not in the file");
        findings.add(table.span, Code::ExceptionsNotInFile, message);
        return None;
    }
    let entries = table.tables("entries", findings);
    if entries.is_empty() {
        findings.add(table.span, Code::BadValue, "an exception needs `entries`");
        return None;
    }
    let entries: Vec<_> = entries
        .into_iter()
        .map(|entry| self::entry(options, entry, "", findings))
        .collect();
    let mut conditions: Vec<Condition> = entries.into_iter().collect::<Option<_>>()?;
    let systems = table.texts("os_types", findings);
    if !systems.is_empty() {
        let systems = systems.into_iter().map(|system| system.value.to_owned()).collect();
        let system = FieldReference::new(options.schema(), fields::HOST_OS_TYPE);
        conditions.push(Condition::field(system, Test::TextIn(systems, Case::Insensitive)));
    }
    if let Some(expires) = table.text("expire_time", findings) {
        let Some(end_ns) = timestamp::parse(expires.value) else {
            let message = format!("`{}` is not a date such as `2026-01-31T00:00:00Z`", expires.value);
            findings.add(expires.span, Code::BadValue, message);
            return None;
        };
        let time = FieldReference::new(options.schema(), fields::TIMESTAMP);
        conditions.push(Condition::field(time, Test::DateOrder(Order::Less, end_ns)));
    }
    Some(Condition::All(conditions))
}

/// An entry; `prefix` is what comes before its field's name.
fn entry(options: &ParseOptions, table: Table<'_>, prefix: &str, findings: &mut Findings) -> Option<Condition> {
    keys::check_table(
        table,
        &["entries", "field", "list", "operator", "type", "value"],
        findings,
    );
    let needed = |key, findings: &mut Findings| {
        if !table.has(key) {
            let message = format!("`{key}` is missing in an entry of an exception");
            findings.add(table.span, Code::MissingKey, message);
        }
        table.text(key, findings)
    };
    let field = needed("field", findings);
    let entry_type = needed("type", findings)?;
    let patterns: Vec<Pattern> = match entry_type.value {
        "exists" => vec![Pattern::new([Symbol::AnyRun])],
        "match" => vec![Pattern::literal(needed("value", findings)?.value)],
        "wildcard" => {
            let pattern = needed("value", findings)?;
            check_pattern_length(options, pattern.value, pattern.span, findings)?;
            vec![Pattern::from_wildcard_query(pattern.value)]
        }
        "match_any" => {
            let values = table.texts("value", findings);
            values.into_iter().map(|value| Pattern::literal(value.value)).collect()
        }
        "nested" if prefix.is_empty() => return nested(options, table, field?, findings),
        other => {
            let message = format!("entries of type `{other}` are not supported in exceptions");
            findings.add(entry_type.span, Code::UnsupportedException, message);
            return None;
        }
    };
    let operator = table.text("operator", findings);
    let field = field.and_then(|name| {
        let whole_name = format!("{prefix}{}", name.value);
        FieldReference::check(options.schema(), &whole_name, name.span, findings)
    })?;
    // As Kibana asks: texts by their words in a row, patterns for one word.
    let reading = match entry_type.value {
        "match" | "match_any" => kql::Reading::Phrase,
        _ => kql::Reading::Term,
    };
    let condition = any_of(options, &field, patterns, reading, table.span, findings)?;
    match operator.map(|operator| operator.value) {
        Some("included") | None => Some(condition),
        Some("excluded") => Some(condition.negate()),
        Some(other) => {
            let message = format!("`{other}` is neither `included` nor `excluded`");
            findings.add(
                operator.map_or(table.span, |operator| operator.span),
                Code::BadValue,
                message,
            );
            None
        }
    }
}

/// Entries about the fields of one of the objects below a field. Records do not keep objects apart, so entries that
/// hold of different objects count as well.
fn nested(
    options: &ParseOptions,
    table: Table<'_>,
    field: Located<&str>,
    findings: &mut Findings,
) -> Option<Condition> {
    let entries = table.tables("entries", findings);
    if entries.is_empty() {
        findings.add(table.span, Code::BadValue, "a nested entry needs `entries`");
        return None;
    }
    if entries.len() > 1 {
        let message = format!(
            "the entries are compared with all objects below `{}` together",
            field.value
        );
        findings.add(field.span, Code::NestedObjects, message);
    }
    let prefix = format!("{}.", field.value);
    let entries: Vec<_> = entries
        .into_iter()
        .map(|entry| self::entry(options, entry, &prefix, findings))
        .collect();
    entries.into_iter().collect::<Option<_>>().map(Condition::All)
}

fn any_of(
    options: &ParseOptions,
    field: &FieldReference,
    patterns: Vec<Pattern>,
    reading: kql::Reading,
    span: Span,
    findings: &mut Findings,
) -> Option<Condition> {
    let most = options.limits().list_length;
    if patterns.is_empty() || patterns.len() > most {
        findings.add(span, Code::BadValue, format!("`value` must have 1 to {most} values"));
        return None;
    }
    let condition = kql::is_any_of(field, &patterns, reading);
    if condition.is_never() {
        let message = format!("this can never match: `{}` does not hold such values", field.name());
        findings.add(span, Code::NeverMatches, message);
    }
    Some(condition)
}

#[cfg(test)]
pub(crate) mod tests;
