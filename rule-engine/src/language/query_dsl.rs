//! `[[rule.filters]]`: the filters of Kibana's filter bar, in the language of Elasticsearch's queries.
//!
//! What is a test of fields becomes a condition; what only an index can answer (scores, scripts, analysed text) is an
//! error that names it.

use serde_json::{Map, Value as Json};

use super::{ParseOptions, check_pattern_length};
use crate::condition::{Condition, Test};
use crate::diagnostic::{Code, Findings, Span};
use crate::language::kql::{self, Reading};
use crate::schema::{FieldReference, FieldType};
use crate::value::regex::{self, Regex};
use crate::value::words::words;
use crate::value::{Case, Order, Pattern, Symbol};

/// Keys of a filter that say how Kibana shows it.
const KEYS_OF_KIBANA: [&str; 2] = ["meta", "$state"];

/// Queries of the form `kind: { field: value }`.
const KINDS_OF_TESTS: [&str; 8] = [
    "match",
    "match_phrase",
    "prefix",
    "range",
    "regexp",
    "term",
    "terms",
    "wildcard",
];

/// Formats that say of dates what is true of all.
const DATE_FORMATS: [&str; 3] = [
    "strict_date_optional_time",
    "date_optional_time",
    "strict_date_optional_time||epoch_millis",
];
const UTC: [&str; 4] = ["UTC", "Z", "+00:00", "GMT"];

/// Keys beside a query's own that change nothing for an event that either matches or does not.
const KEYS_OF_SCORES: [&str; 2] = ["boost", "_name"];

/// What a form may say of its value beside `boost`; for the exact values of a keyword it changes nothing.
fn options_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "match" => &["query", "type", "operator", "lenient", "zero_terms_query"],
        "match_phrase" => &["query", "zero_terms_query"],
        "prefix" | "term" => &["value", "case_insensitive", "rewrite"],
        "regexp" => &[
            "value",
            "case_insensitive",
            "flags",
            "max_determinized_states",
            "rewrite",
        ],
        "wildcard" => &["value", "wildcard", "case_insensitive", "rewrite"],
        _ => &[],
    }
}

/// Reads a filter as Kibana stores it; `span` is where it stands.
pub(crate) fn read(
    options: &ParseOptions,
    filter: &Map<String, Json>,
    span: Span,
    findings: &mut Findings,
) -> Option<Condition> {
    let mut reader = Reader {
        options,
        span,
        place: Vec::new(),
        depth: 0,
        findings,
    };
    reader.filter(filter)
}

struct Reader<'f> {
    options: &'f ParseOptions,
    span: Span,
    /// Which of a combined filter's own filters this is, from the outermost one inwards.
    place: Vec<usize>,
    depth: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn error<T>(&mut self, code: Code, message: impl Into<String>) -> Option<T> {
        let message = self.placed(message.into());
        self.findings.add(self.span, code, message);
        None
    }

    /// The message, with the filter's place if it is one of a combined filter's.
    fn placed(&self, message: String) -> String {
        if self.place.is_empty() {
            return message;
        }
        let place: Vec<String> = self.place.iter().map(|place| format!("meta.params[{place}]")).collect();
        format!("{message}, in `{}`", place.join("."))
    }

    fn unsupported<T>(&mut self, form: &str) -> Option<T> {
        self.error(
            Code::UnsupportedFilter,
            format!("a filter of this form (`{form}`) is not supported"),
        )
    }

    /// A filter of the filter bar: a query, or others that are combined.
    fn filter(&mut self, filter: &Map<String, Json>) -> Option<Condition> {
        let meta = |key| filter.get("meta").and_then(|meta| meta.get(key));
        if meta("disabled") == Some(&Json::Bool(true)) {
            return Some(Condition::Always);
        }
        let condition = if meta("type").and_then(Json::as_str) == Some("combined") {
            self.nested(|reader| reader.combined(meta("relation"), meta("params")))?
        } else {
            // Old filters have the query's one key beside `meta`, not in `query`.
            self.query(filter.get("query").and_then(Json::as_object).unwrap_or(filter))?
        };
        Some(if meta("negate") == Some(&Json::Bool(true)) {
            condition.negate()
        } else {
            condition
        })
    }

    /// Filters of which all or any have to hold. None at all hold, as a query of no clauses does.
    fn combined(&mut self, relation: Option<&Json>, filters: Option<&Json>) -> Option<Condition> {
        let Some(Json::Array(filters)) = filters else {
            return self.unsupported("combined without `params`");
        };
        let combine: fn(Vec<Condition>) -> Condition = match relation.and_then(Json::as_str) {
            Some("AND") => Condition::All,
            Some("OR") if filters.is_empty() => Condition::All,
            Some("OR") => Condition::any,
            other => return self.unsupported(&format!("combined by `{}`", other.unwrap_or_default())),
        };
        let mut read = Vec::new();
        for (place, filter) in filters.iter().enumerate() {
            self.place.push(place);
            read.push(match filter.as_object() {
                Some(filter) => self.filter(filter),
                None => self.unsupported("combined"),
            });
            self.place.pop();
        }
        let conditions: Vec<Condition> = read.into_iter().collect::<Option<_>>()?;
        Some(combine(conditions))
    }

    /// Reads what is inside another query, as deep as is allowed.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let deepest = self.options.limits().nesting;
        if self.depth == deepest {
            return self.error(Code::Nesting, format!("the filter nests deeper than {deepest} levels"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// An object with one key, the query's kind.
    fn query(&mut self, query: &Map<String, Json>) -> Option<Condition> {
        let mut kinds = query.iter().filter(|(key, _)| !KEYS_OF_KIBANA.contains(&key.as_str()));
        let Some((kind, body)) = kinds.next() else {
            return self.unsupported("without a query");
        };
        if let Some((second, _)) = kinds.next() {
            return self.unsupported(&format!("{kind} and {second}"));
        }
        let body_of = body.as_object();
        match (kind.as_str(), body_of) {
            ("match_all", _) => Some(Condition::Always),
            ("match_none", _) => Some(Condition::Never),
            ("bool", Some(clauses)) => self.nested(|reader| reader.combination(clauses)),
            ("constant_score", Some(body)) => match body.get("filter").and_then(Json::as_object) {
                Some(query) => self.nested(|reader| reader.query(query)),
                None => self.unsupported("constant_score without `filter`"),
            },
            ("exists", Some(body)) => {
                let name = body.get("field").and_then(Json::as_str);
                let Some(name) = name else {
                    return self.unsupported("exists without `field`");
                };
                let field = self.field(name, Case::Sensitive)?;
                Some(Condition::field(field, Test::Exists))
            }
            (kind, Some(body)) => {
                let mut fields = body.iter().filter(|(key, _)| !KEYS_OF_SCORES.contains(&key.as_str()));
                match (fields.next(), fields.next()) {
                    (Some((name, value)), None) => self.test(kind, name, value),
                    _ => self.unsupported(kind),
                }
            }
            (kind, None) => self.unsupported(kind),
        }
    }

    fn field(&mut self, name: &str, case: Case) -> Option<FieldReference> {
        let mut field = FieldReference::check(self.options.schema(), name, self.span, self.findings)?;
        field.case = field.case.or(case);
        Some(field)
    }

    /// A test of one field: `kind: { name: value }`, where the value may be an object that says more.
    fn test(&mut self, kind: &str, name: &str, value: &Json) -> Option<Condition> {
        if !KINDS_OF_TESTS.contains(&kind) {
            return self.unsupported(kind);
        }
        let options = value.as_object();
        let changes_meaning = |key: &&String| {
            kind != "range" && !KEYS_OF_SCORES.contains(&key.as_str()) && !options_of(kind).contains(&key.as_str())
        };
        if let Some(option) = options.and_then(|options| options.keys().find(changes_meaning)) {
            return self.unsupported(&format!("{kind} with `{option}`"));
        }
        let case = match options.and_then(|options| options.get("case_insensitive")) {
            Some(Json::Bool(true)) => Case::Insensitive,
            _ => Case::Sensitive,
        };
        let value_key = match kind {
            "match" | "match_phrase" => "query",
            _ => "value",
        };
        let value = match options {
            None => value,
            Some(options) if kind != "range" => match options.get(value_key).or_else(|| options.get(kind)) {
                Some(value) => value,
                None => return self.unsupported(kind),
            },
            Some(_) => value,
        };
        let field = self.field(name, case)?;
        let option = |key| options.and_then(|options| options.get(key)).and_then(Json::as_str);
        let reading = match (kind, option("type")) {
            ("match", Some("phrase")) | ("match_phrase", _) => Reading::Phrase,
            ("match", _) => Reading::AnyWord,
            _ => Reading::Term,
        };
        let needs_all =
            reading == Reading::AnyWord && option("operator").is_some_and(|all| all.eq_ignore_ascii_case("and"));
        if let (true, FieldType::Text, Some(text)) = (needs_all, field.value_type, text(value)) {
            let word = |word: String| Condition::field(field.clone(), Test::Phrase(vec![vec![word]]));
            let all: Vec<Condition> = words(&text).map(word).collect();
            let condition = if all.is_empty() {
                Condition::Never
            } else {
                Condition::All(all)
            };
            self.warn_if_never(&condition, &field);
            return Some(condition);
        }
        let run = || std::iter::once(Symbol::AnyRun);
        let patterns: Vec<Pattern> = match (kind, text(value), value) {
            ("term" | "match" | "match_phrase", Some(text), _) => vec![Pattern::literal(&text)],
            ("wildcard", Some(text), _) => {
                check_pattern_length(self.options, &text, self.span, self.findings)?;
                vec![Pattern::from_wildcard_query(&text)]
            }
            ("prefix", Some(text), _) => vec![Pattern::new(text.chars().map(Symbol::Character).chain(run()))],
            ("regexp", Some(text), _) => return self.regex(field, &text),
            ("terms", _, Json::Array(values)) if (1..=self.options.limits().list_length).contains(&values.len()) => {
                match values.iter().map(text).collect::<Option<Vec<String>>>() {
                    Some(texts) => texts.iter().map(|text| Pattern::literal(text)).collect(),
                    None => return self.unsupported(kind),
                }
            }
            ("range", _, Json::Object(bounds)) => return self.range(&field, bounds),
            _ => return self.unsupported(kind),
        };
        let condition = kql::is_any_of(&field, &patterns, reading);
        self.warn_if_never(&condition, &field);
        Some(condition)
    }

    fn warn_if_never(&mut self, condition: &Condition, field: &FieldReference) {
        if condition.is_never() {
            let message = format!("this can never match: `{}` does not hold such values", field.name());
            let message = self.placed(message);
            self.findings.add(self.span, Code::NeverMatches, message);
        }
    }

    fn regex(&mut self, field: FieldReference, pattern: &str) -> Option<Condition> {
        match regex::parse(self.options.limits(), pattern, field.case) {
            Err(message) => self.error(Code::Regex, message),
            Ok(pattern) => match Regex::new(self.options.limits(), vec![pattern]) {
                Some(regex) => {
                    let test = match field.value_type {
                        FieldType::Text => Test::AnyWord(Box::new(Test::Regex(regex))),
                        _ => Test::Regex(regex),
                    };
                    Some(Condition::field(field, test))
                }
                None => self.error(
                    Code::RegexTooLarge,
                    "the regular expression needs too large an automaton",
                ),
            },
        }
    }

    fn range(&mut self, field: &FieldReference, bounds: &Map<String, Json>) -> Option<Condition> {
        let excludes = |key| bounds.get(key) == Some(&Json::Bool(false));
        let mut conditions = Vec::new();
        for (bound, value) in bounds {
            let order = match bound.as_str() {
                "lt" => Order::Less,
                "to" if excludes("include_upper") => Order::Less,
                "lte" | "to" => Order::LessOrEqual,
                "gt" => Order::Greater,
                "from" if excludes("include_lower") => Order::Greater,
                "gte" | "from" => Order::GreaterOrEqual,
                "include_lower" | "include_upper" => continue,
                // How dates are read anyway.
                "format" if value.as_str().is_some_and(|format| DATE_FORMATS.contains(&format)) => continue,
                "time_zone" if value.as_str().is_some_and(|zone| UTC.contains(&zone)) => continue,
                key if KEYS_OF_SCORES.contains(&key) => continue,
                _ => return self.unsupported(&format!("range with `{bound}`")),
            };
            if value.is_null() {
                continue;
            }
            let Some(text) = text(value) else {
                return self.unsupported("range");
            };
            let condition = kql::in_order(field, order, text);
            self.warn_if_never(&condition, field);
            conditions.push(condition);
        }
        Some(Condition::All(conditions))
    }

    /// `bool`: all of `must` and `filter`, none of `must_not`, and one of `should`, which is only asked for if nothing
    /// else is, or by `minimum_should_match`.
    fn combination(&mut self, clauses: &Map<String, Json>) -> Option<Condition> {
        let mut conditions = Vec::new();
        let mut should = Vec::new();
        let mut minimum = None;
        for (clause, value) in clauses {
            match clause.as_str() {
                "must" | "filter" => conditions.extend(self.queries(value)?),
                "must_not" => conditions.push(Condition::Any(self.queries(value)?).negate()),
                "should" => should = self.queries(value)?,
                "minimum_should_match" => minimum = text(value),
                key if KEYS_OF_SCORES.contains(&key) => {}
                other => return self.unsupported(&format!("bool with `{other}`")),
            }
        }
        let has_any = |clause| match clauses.get(clause) {
            Some(Json::Array(queries)) => !queries.is_empty(),
            clause => clause.is_some(),
        };
        let is_asked_for = match minimum.as_deref() {
            Some("0") => false,
            Some("1") => true,
            None => !has_any("must") && !has_any("filter"),
            Some(_) => return self.unsupported("bool with `minimum_should_match` above 1"),
        };
        if is_asked_for && !should.is_empty() {
            conditions.push(Condition::any(should));
        }
        Some(Condition::All(conditions))
    }

    fn queries(&mut self, value: &Json) -> Option<Vec<Condition>> {
        let list = match value {
            Json::Array(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        let read: Vec<_> = list
            .iter()
            .map(|query| match query.as_object() {
                Some(query) => self.query(query),
                None => self.unsupported("bool"),
            })
            .collect();
        read.into_iter().collect()
    }
}

/// A value as a query would write it.
fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
