//! Queries as trees: what they mean, and how they are written in both languages.

use serde_json::{Map, Value as Json};

use super::compute::Expression;
use super::regex::Regex;
use super::{DATES, FIELDS, Language, Letters, Value, bits, date, is_within, like, tested_values, type_of, words};

#[derive(Clone, Debug)]
pub(crate) enum Query {
    And(Vec<Query>),
    Or(Vec<Query>),
    Not(Box<Query>),
    /// A field, perhaps by the name of a multi-field of it or marked as optional, and what its values are tested for.
    Field(&'static str, Test),
    Computed(Expression, Test),
    /// KQL's value without a field, or with wildcards in the field's name.
    Anywhere(Option<&'static str>, String),
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    TextIn(Vec<String>, Letters),
    Like(Vec<String>, Letters),
    Regex(Vec<Regex>, Letters),
    Order(&'static str, Value),
    NumberIn(Vec<Value>),
    Boolean(bool),
    /// Positions in [`DATES`].
    DateIn(Language, Vec<usize>),
    DateOrder(Language, &'static str, usize),
    /// KQL's values of a text field: quoted ones for their words in a row, the others for one of them.
    Words(Vec<(String, bool)>),
    /// By `cidrMatch`.
    Within(Vec<&'static str>),
    /// By `in`, or `==` if it is one.
    AddressIn(Vec<&'static str>),
    /// By `:`, some with wildcards.
    AddressLike(Vec<&'static str>),
    AddressOrder(&'static str, &'static str),
}

impl Query {
    pub(crate) fn holds(&self, event: &Map<String, Json>) -> bool {
        match self {
            Query::And(queries) => queries.iter().all(|query| query.holds(event)),
            Query::Or(queries) => queries.iter().any(|query| query.holds(event)),
            Query::Not(query) => !query.holds(event),
            Query::Field(field, test) => {
                let base = field.strip_suffix(".caseless");
                let letters = base.map_or(Letters::Exact, |_| Letters::AnyCase);
                let name = base.unwrap_or(field.strip_suffix(".text").unwrap_or(field));
                let found = tested_values(event, name.strip_prefix('?').unwrap_or(name));
                found.iter().any(|value| test.passes(value, letters))
            }
            // Not the function's value `false`, but the negation of the condition that it is.
            Query::Computed(expression, Test::Boolean(false)) => {
                !Query::Computed(expression.clone(), Test::Boolean(true)).holds(event)
            }
            Query::Computed(expression, test) => {
                let found = expression.values(event);
                let passes = |value: &Value| *value != Value::Null && test.passes(value, Letters::Exact);
                found.iter().any(passes)
            }
            Query::Anywhere(pattern, wanted) => FIELDS
                .iter()
                .filter(|field| pattern.is_none_or(|pattern| like(pattern, field, Letters::Exact)))
                .flat_map(|field| {
                    tested_values(event, field)
                        .into_iter()
                        .map(|value| (type_of(field), value))
                })
                .any(|(kind, value)| is(kind, &value, wanted)),
        }
    }

    pub(crate) fn eql(&self) -> String {
        match self {
            Query::And(queries) => joined(queries, " and ", Query::eql),
            Query::Or(queries) => joined(queries, " or ", Query::eql),
            Query::Not(query) => match &**query {
                Query::Field(field, test) => test.negated_eql(field),
                other => format!("not ({})", other.eql()),
            },
            Query::Field(field, test) => test.eql(field),
            Query::Computed(expression, test) => test.eql(&expression.written()),
            Query::Anywhere(..) => panic!("EQL has no such query"),
        }
    }

    pub(crate) fn kql(&self) -> String {
        match self {
            Query::And(queries) => joined(queries, " and ", Query::kql),
            Query::Or(queries) => joined(queries, " OR ", Query::kql),
            Query::Not(query) => format!("not ({})", query.kql()),
            Query::Field(field, test) => format!("{field}{}", test.kql()),
            Query::Computed(..) => panic!("KQL has no functions"),
            Query::Anywhere(None, wanted) => format!("{wanted:?}"),
            Query::Anywhere(Some(pattern), wanted) => format!("{pattern}:{wanted:?}"),
        }
    }
}

fn joined(queries: &[Query], operator: &str, write: fn(&Query) -> String) -> String {
    let written: Vec<String> = queries.iter().map(|query| format!("({})", write(query))).collect();
    written.join(operator)
}

/// Whether a value of a field of this type is what KQL's text says.
fn is(kind: &str, value: &Value, wanted: &str) -> bool {
    match (kind, value) {
        ("text", Value::Text(text)) => text == wanted,
        ("words", Value::Text(text)) => has_phrase(&words(text), wanted),
        ("ip", Value::Text(text)) => is_within(text, wanted),
        ("number", number) => wanted.parse().is_ok_and(|wanted| number.as_float() == Some(wanted)),
        ("boolean", Value::Boolean(truth)) => truth.to_string() == wanted,
        _ => false,
    }
}

fn has_phrase(found: &[String], wanted: &str) -> bool {
    let wanted = words(wanted);
    !wanted.is_empty() && found.windows(wanted.len()).any(|row| *row == wanted)
}

impl Test {
    /// `letters` of the field's name; any case if either says so.
    fn passes(&self, value: &Value, of_field: Letters) -> bool {
        let text = match value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        let is_text = matches!(value, Value::Text(_));
        match self {
            Test::Exists => true,
            Test::TextIn(texts, letters) => {
                let letters = letters.or(of_field);
                let fold = |text: &str| text.chars().map(|letter| letters.folded(letter)).collect::<String>();
                is_text && texts.iter().any(|wanted| fold(wanted) == fold(text))
            }
            Test::Like(patterns, letters) => {
                is_text && patterns.iter().any(|pattern| like(pattern, text, letters.or(of_field)))
            }
            Test::Regex(patterns, letters) => {
                is_text
                    && patterns
                        .iter()
                        .any(|pattern| pattern.matches(text, letters.or(of_field)))
            }
            Test::Order(operator, limit) => {
                let ordering = match (value, limit) {
                    (Value::Text(text), Value::Text(limit)) => Some(text.as_bytes().cmp(limit.as_bytes())),
                    (Value::Whole(number), Value::Whole(limit)) => Some(number.cmp(limit)),
                    _ => value
                        .as_float()
                        .zip(limit.as_float())
                        .and_then(|(a, b)| a.partial_cmp(&b)),
                };
                ordering.is_some_and(|ordering| in_order(operator, ordering))
            }
            Test::NumberIn(numbers) => numbers.iter().any(|wanted| match (value, wanted) {
                (Value::Whole(number), Value::Whole(wanted)) => number == wanted,
                _ => value.as_float().is_some() && value.as_float() == wanted.as_float(),
            }),
            Test::Boolean(wanted) => *value == Value::Boolean(*wanted),
            Test::DateIn(language, dates) => dates.iter().any(|wanted| {
                let (_, first, last) = DATES[*wanted];
                match language {
                    Language::Eql => date(text) == Some(first),
                    Language::Kql => date(text).is_some_and(|date| (first..=last).contains(&date)),
                }
            }),
            Test::DateOrder(language, operator, limit) => {
                let (_, first, last) = DATES[*limit];
                let limit = match (language, *operator) {
                    (Language::Kql, "<=" | ">") => last,
                    _ => first,
                };
                date(text).is_some_and(|date| in_order(operator, date.cmp(&limit)))
            }
            Test::Words(wanted) => {
                let found = words(text);
                wanted.iter().any(|(wanted, is_quoted)| {
                    if wanted == "*" {
                        return true;
                    }
                    if *is_quoted {
                        return has_phrase(&found, wanted);
                    }
                    wanted.split(' ').any(|part| {
                        let is_meant = |word: &String| match part.contains('*') {
                            true => like(&part.to_lowercase(), word, Letters::Exact),
                            false => words(part).contains(word),
                        };
                        found.iter().any(is_meant)
                    })
                })
            }
            Test::Within(networks) | Test::AddressIn(networks) => {
                networks.iter().any(|network| is_within(text, network))
            }
            Test::AddressLike(patterns) => patterns
                .iter()
                .any(|pattern| like(pattern, text, Letters::AnyCase) || is_within(text, pattern)),
            Test::AddressOrder(operator, limit) => in_order(operator, bits(text).cmp(&bits(limit))),
        }
    }

    fn eql(&self, operand: &str) -> String {
        let tilde = |letters: &Letters| match letters {
            Letters::Exact => "",
            Letters::AnyCase => "~",
        };
        match self {
            Test::Exists => format!("{operand} != null"),
            Test::TextIn(texts, Letters::Exact) if texts.len() == 1 => format!("{operand} == {}", list(texts)),
            Test::TextIn(texts, letters) => format!("{operand} in{} ({})", tilde(letters), list(texts)),
            Test::Like(patterns, Letters::AnyCase) => format!("{operand} : ({})", list(patterns)),
            Test::Like(patterns, Letters::Exact) => format!("{operand} like ({})", list(patterns)),
            Test::Regex(patterns, letters) => {
                let written: Vec<String> = patterns.iter().map(Regex::written).collect();
                format!("{operand} regex{} ({})", tilde(letters), list(&written))
            }
            Test::Order(operator, limit) => format!("{operand} {operator} {}", limit.written()),
            Test::NumberIn(numbers) => {
                let written: Vec<String> = numbers.iter().map(Value::written).collect();
                format!("{operand} in ({})", written.join(", "))
            }
            Test::Boolean(truth) => format!("{operand} == {truth}"),
            Test::DateIn(_, dates) => format!("{operand} in ({})", list(&written_dates(dates))),
            Test::DateOrder(_, operator, limit) => format!("{operand} {operator} {:?}", DATES[*limit].0),
            Test::Words(_) => panic!("EQL compares whole texts"),
            Test::Within(networks) => format!("cidrMatch({operand}, {})", list(networks)),
            Test::AddressIn(addresses) if addresses.len() == 1 => format!("{operand} == {}", list(addresses)),
            Test::AddressIn(addresses) => format!("{operand} in ({})", list(addresses)),
            Test::AddressLike(patterns) => format!("{operand} : ({})", list(patterns)),
            Test::AddressOrder(operator, limit) => format!("{operand} {operator} {limit:?}"),
        }
    }

    /// The negation, written as a test where there is a form for it.
    fn negated_eql(&self, field: &str) -> String {
        match self {
            Test::Exists => format!("{field} == null"),
            Test::TextIn(texts, Letters::Exact) if texts.len() == 1 => format!("{field} != {}", list(texts)),
            Test::TextIn(texts, Letters::Exact) => format!("{field} not in ({})", list(texts)),
            Test::Like(patterns, Letters::AnyCase) => format!("{field} not like~ ({})", list(patterns)),
            other => format!("not {}", other.eql(field)),
        }
    }

    fn kql(&self) -> String {
        let any = |values: Vec<String>| format!(":({})", values.join(" or "));
        let quoted = |texts: &[&str]| texts.iter().map(|text| format!("{text:?}")).collect();
        match self {
            Test::Exists => ":*".to_owned(),
            Test::TextIn(texts, _) => any(texts.iter().map(|text| format!("{text:?}")).collect()),
            Test::Like(patterns, _) => any(patterns.clone()),
            Test::NumberIn(numbers) => any(numbers.iter().map(Value::written).collect()),
            Test::Order(operator, limit) => format!(" {operator} {}", limit.written()),
            Test::Boolean(truth) => format!(":{truth}"),
            Test::DateIn(_, dates) => any(quoted(&written_dates(dates))),
            Test::DateOrder(_, operator, limit) => format!(" {operator} {:?}", DATES[*limit].0),
            Test::Words(wanted) => any(wanted
                .iter()
                .map(|(text, is_quoted)| if *is_quoted { format!("{text:?}") } else { text.clone() })
                .collect()),
            Test::Within(networks) | Test::AddressIn(networks) => any(quoted(networks)),
            Test::AddressLike(patterns) => any(patterns.iter().map(|pattern| pattern.replace(':', "\\:")).collect()),
            Test::AddressOrder(operator, limit) => format!(" {operator} {limit:?}"),
            Test::Regex(..) => panic!("KQL has no regular expressions"),
        }
    }
}

fn written_dates(dates: &[usize]) -> Vec<&'static str> {
    dates.iter().map(|date| DATES[*date].0).collect()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let written: Vec<String> = texts.iter().map(|text| format!("{:?}", text.as_ref())).collect();
    written.join(", ")
}

fn in_order(operator: &str, ordering: std::cmp::Ordering) -> bool {
    match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}
