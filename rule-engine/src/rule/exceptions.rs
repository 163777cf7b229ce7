//! A rule's exceptions and filters: which events it looks at, whatever its query says.
//!
//! Both are taken in the form in which Kibana exports them and become one condition, which every event has to satisfy
//! before the rule sees it, also as an event of a sequence. A form that is not read is an error that names it: left
//! out, the rule would mean something else.

use serde_json::{Map, Value as Json};

use super::table::Table;
use crate::condition::{Condition, Order, Pattern, Symbol, Test};
use crate::diagnostic::{Findings, Span};
use crate::field_reference::{Case, FieldReference};
use crate::kql;
use crate::limits::MAX_LIST_LENGTH;
use crate::schema::fields;
use crate::timestamp;

/// What an event has to satisfy for the rule to look at it.
pub(super) fn read(rule: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    let filters = rule.tables("filters", findings);
    let filters: Vec<_> = filters.into_iter().map(|table| filter(table, findings)).collect();
    let items = rule.tables("exceptions_list", findings);
    let items: Vec<_> = items.into_iter().map(|table| item(table, findings)).collect();
    let excepted = Condition::any(items.into_iter().collect::<Option<_>>()?);
    let mut conditions: Vec<Condition> = filters.into_iter().collect::<Option<_>>()?;
    conditions.push(excepted.negate());
    Some(Condition::All(conditions))
}

/// An exception: all of its entries hold, and the event is older than its end.
fn item(table: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    if !table.has("entries") {
        let list = table.text("list_id", findings).map_or("", |list| list.value);
        let message = format!("the items of the exception list `{list}` are not in the file");
        findings.error(table.span, "exceptions-not-in-file", message);
        return None;
    }
    let entries = table.tables("entries", findings);
    if entries.is_empty() {
        findings.error(table.span, "bad-value", "an exception needs `entries`");
        return None;
    }
    let entries: Vec<_> = entries.into_iter().map(|entry| self::entry(entry, findings)).collect();
    let mut conditions: Vec<Condition> = entries.into_iter().collect::<Option<_>>()?;
    if let Some(expires) = table.text("expire_time", findings) {
        let Some(end_ns) = timestamp::parse(expires.value) else {
            let message = format!("`{}` is not a date such as `2026-01-31T00:00:00Z`", expires.value);
            findings.error(expires.span, "bad-value", message);
            return None;
        };
        let time = FieldReference {
            field: fields::TIMESTAMP,
            key: None,
            case: Case::Sensitive,
        };
        conditions.push(Condition::field(time, Test::DateOrder(Order::Less, end_ns)));
    }
    Some(Condition::All(conditions))
}

fn entry(table: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    let needed = |key, findings: &mut Findings| {
        if !table.has(key) {
            let message = format!("`{key}` is missing in an entry of an exception");
            findings.error(table.span, "missing-key", message);
        }
        table.text(key, findings)
    };
    let field = needed("field", findings);
    let entry_type = needed("type", findings)?;
    let patterns: Vec<Pattern> = match entry_type.value {
        "exists" => vec![Pattern::new([Symbol::AnyRun])],
        "match" => vec![literal(needed("value", findings)?.value)],
        "wildcard" => vec![wildcards(needed("value", findings)?.value)],
        "match_any" => {
            let values = table.texts("value", findings);
            values.into_iter().map(|value| literal(value.value)).collect()
        }
        other => {
            let message = format!("entries of type `{other}` are not supported in exceptions");
            findings.error(entry_type.span, "unsupported-exception", message);
            return None;
        }
    };
    let operator = table.text("operator", findings);
    let field = field.and_then(|name| FieldReference::check(name.value, name.span, findings))?;
    let condition = any_of(&field, patterns, table.span, findings)?;
    match operator.map(|operator| operator.value) {
        Some("included") | None => Some(condition),
        Some("excluded") => Some(condition.negate()),
        Some(other) => {
            let message = format!("`{other}` is neither `included` nor `excluded`");
            findings.error(
                operator.map_or(table.span, |operator| operator.span),
                "bad-value",
                message,
            );
            None
        }
    }
}

/// A filter of Kibana's filter bar: a phrase, one of several phrases, or that a field exists.
fn filter(table: Table<'_>, findings: &mut Findings) -> Option<Condition> {
    let filter = table.object();
    let is_set = |key| filter.get("meta").and_then(|meta| meta.get(key)) == Some(&Json::Bool(true));
    if is_set("disabled") {
        return Some(Condition::Always);
    }
    // Old filters have `exists` beside `query`, not in it.
    let query = filter.get("query").and_then(Json::as_object).unwrap_or(&filter);
    let phrases = phrases(query).or_else(|| any_phrase(query));
    let Some((name, patterns)) = phrases else {
        let mut kinds = query
            .keys()
            .map(String::as_str)
            .filter(|key| !["meta", "$state"].contains(key));
        let kind = kinds.next().unwrap_or("without a query");
        let message = format!("a filter of this form (`{kind}`) is not supported");
        findings.error(table.span, "unsupported-filter", message);
        return None;
    };
    let field = FieldReference::check(&name, table.span, findings)?;
    let condition = any_of(&field, patterns, table.span, findings)?;
    Some(if is_set("negate") {
        condition.negate()
    } else {
        condition
    })
}

/// `exists`, or one phrase as `match_phrase` or `match` write it: the field and its pattern.
fn phrases(query: &Map<String, Json>) -> Option<(String, Vec<Pattern>)> {
    if let Some(exists) = query.get("exists") {
        let name = exists.get("field")?.as_str()?.to_owned();
        return Some((name, vec![Pattern::new([Symbol::AnyRun])]));
    }
    let (kind, phrase) = match (query.get("match_phrase"), query.get("match")) {
        (Some(phrase), _) => ("match_phrase", phrase),
        (None, phrase) => ("match", phrase?),
    };
    let mut fields = phrase.as_object()?.iter();
    let ((name, value), None) = (fields.next()?, fields.next()) else {
        return None;
    };
    let is_phrase = kind == "match_phrase" || value.get("type") == Some(&Json::from("phrase"));
    let text = match value.get("query").unwrap_or(value) {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    is_phrase.then(|| (name.clone(), vec![literal(&text)]))
}

/// `bool` with `should`, one of several phrases of one field.
fn any_phrase(query: &Map<String, Json>) -> Option<(String, Vec<Pattern>)> {
    let choice = query.get("bool")?.as_object()?;
    if choice.get("minimum_should_match") != Some(&Json::from(1)) || choice.len() != 2 {
        return None;
    }
    let mut one_field: Option<(String, Vec<Pattern>)> = None;
    for phrase in choice.get("should")?.as_array()? {
        let (name, patterns) = phrases(phrase.as_object()?)?;
        let (field, all) = one_field.get_or_insert_with(|| (name.clone(), Vec::new()));
        if *field != name {
            return None;
        }
        all.extend(patterns);
    }
    one_field
}

fn any_of(field: &FieldReference, patterns: Vec<Pattern>, span: Span, findings: &mut Findings) -> Option<Condition> {
    if patterns.is_empty() || patterns.len() > MAX_LIST_LENGTH {
        findings.error(
            span,
            "bad-value",
            format!("`value` must have 1 to {MAX_LIST_LENGTH} values"),
        );
        return None;
    }
    let condition = kql::is_any_of(field, &patterns);
    if condition.is_never() {
        let message = format!("this can never match: `{}` does not hold such values", field.name());
        findings.warning(span, "never-matches", message);
    }
    Some(condition)
}

fn literal(text: &str) -> Pattern {
    Pattern::new(text.chars().map(Symbol::Character))
}

/// `*` is any run and `?` any character, unless a backslash is before it.
fn wildcards(text: &str) -> Pattern {
    let mut characters = text.chars();
    Pattern::new(std::iter::from_fn(|| {
        Some(match characters.next()? {
            '*' => Symbol::AnyRun,
            '?' => Symbol::AnyCharacter,
            '\\' => Symbol::Character(characters.next().unwrap_or('\\')),
            other => Symbol::Character(other),
        })
    }))
}

#[cfg(test)]
mod tests;
