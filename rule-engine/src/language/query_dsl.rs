//! `[[rule.filters]]`: the filters of Kibana's filter bar, in the language of Elasticsearch's queries.
//!
//! What is a test of fields becomes a condition; what only an index can answer (scores, scripts, analysed text) is an
//! error that names it.

use serde_json::{Map, Value as Json};

use super::{ParseOptions, check_pattern_length};
use crate::condition::{Condition, Test};
use crate::diagnostic::{Code, Findings, Span};
use crate::language::kql;
use crate::schema::{FieldReference, FieldType};
use crate::value::regex::{self, Regex};
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

/// Reads a filter as Kibana stores it; `span` is where it stands.
pub(crate) fn read(
    options: &ParseOptions,
    filter: &Map<String, Json>,
    span: Span,
    findings: &mut Findings,
) -> Option<Condition> {
    let is_set = |key| filter.get("meta").and_then(|meta| meta.get(key)) == Some(&Json::Bool(true));
    if is_set("disabled") {
        return Some(Condition::Always);
    }
    // Old filters have the query's one key beside `meta`, not in `query`.
    let query = filter.get("query").and_then(Json::as_object).unwrap_or(filter);
    let mut reader = Reader {
        options,
        span,
        depth: 0,
        findings,
    };
    let condition = reader.query(query)?;
    Some(if is_set("negate") {
        condition.negate()
    } else {
        condition
    })
}

struct Reader<'f> {
    options: &'f ParseOptions,
    span: Span,
    depth: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn error<T>(&mut self, code: Code, message: impl Into<String>) -> Option<T> {
        self.findings.add(self.span, code, message);
        None
    }

    fn unsupported<T>(&mut self, form: &str) -> Option<T> {
        self.error(
            Code::UnsupportedFilter,
            format!("a filter of this form (`{form}`) is not supported"),
        )
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
            ("bool", Some(clauses)) => self.combination(clauses),
            ("exists", Some(body)) => {
                let name = body.get("field").and_then(Json::as_str);
                let Some(name) = name else {
                    return self.unsupported("exists without `field`");
                };
                let field = self.field(name, Case::Sensitive)?;
                Some(Condition::field(field, Test::Exists))
            }
            (kind, Some(body)) => {
                let mut fields = body.iter().filter(|(key, _)| *key != "boost");
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
        if kind == "match" && field.value_type() == FieldType::Text {
            return self.unsupported(kind);
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
        let condition = kql::is_any_of(&field, &patterns);
        self.warn_if_never(&condition, &field);
        Some(condition)
    }

    fn warn_if_never(&mut self, condition: &Condition, field: &FieldReference) {
        if condition.is_never() {
            let message = format!("this can never match: `{}` does not hold such values", field.name());
            self.findings.add(self.span, Code::NeverMatches, message);
        }
    }

    fn regex(&mut self, field: FieldReference, pattern: &str) -> Option<Condition> {
        match regex::parse(self.options.limits(), pattern, field.case) {
            Err(message) => self.error(Code::Regex, message),
            Ok(pattern) => match Regex::new(self.options.limits(), vec![pattern]) {
                Some(regex) => Some(Condition::field(field, Test::Regex(regex))),
                None => self.error(
                    Code::RegexTooLarge,
                    "the regular expression needs too large an automaton",
                ),
            },
        }
    }

    fn range(&mut self, field: &FieldReference, bounds: &Map<String, Json>) -> Option<Condition> {
        let mut conditions = Vec::new();
        for (bound, value) in bounds {
            let order = match bound.as_str() {
                "lt" => Order::Less,
                "lte" => Order::LessOrEqual,
                "gt" => Order::Greater,
                "gte" => Order::GreaterOrEqual,
                _ => return self.unsupported(&format!("range with `{bound}`")),
            };
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
        let deepest = self.options.limits().nesting;
        if self.depth == deepest {
            return self.error(Code::Nesting, format!("the filter nests deeper than {deepest} levels"));
        }
        self.depth += 1;
        let mut conditions = Vec::new();
        let mut should = Vec::new();
        let mut minimum = None;
        for (clause, value) in clauses {
            match clause.as_str() {
                "must" | "filter" => conditions.extend(self.queries(value)?),
                "must_not" => conditions.push(Condition::Any(self.queries(value)?).negate()),
                "should" => should = self.queries(value)?,
                "minimum_should_match" => minimum = text(value),
                "boost" => {}
                other => return self.unsupported(&format!("bool with `{other}`")),
            }
        }
        self.depth -= 1;
        let is_asked_for = match minimum.as_deref() {
            Some("0") => false,
            Some("1") => true,
            None => !clauses.contains_key("must") && !clauses.contains_key("filter"),
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
