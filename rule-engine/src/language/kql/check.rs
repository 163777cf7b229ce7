//! KQL's syntax tree to the checked tree. KQL is lenient: a value that does not fit its field is no error, it just
//! never matches, and that is a warning.

use super::super::ParseOptions;
use super::syntax::{Literal, Query, Reading};
use crate::analysis::satisfiable::AnalyzedCondition;
use crate::condition::{Condition, Test};
use crate::diagnostic::{Code, Findings, Span};
use crate::schema::{FieldReference, FieldType, fields};
use crate::value::words::{lower, words};
use crate::value::{Address, Case, Network, Number, Order, Pattern, Symbol, timestamp};

mod relative;

/// Field tests that the field wildcards of one query may become.
const MAX_EXPANDED_FIELDS: usize = 20_000;

pub(super) fn check(options: &ParseOptions, query: &Query, findings: &mut Findings) -> Option<Condition> {
    let mut checker = Checker {
        options,
        findings,
        expanded: 0,
        told_of_cost: false,
    };
    let whole = checker.query(query)?;
    Some(whole.whole(findings))
}

struct Undeclared;

struct Checker<'a> {
    options: &'a ParseOptions,
    findings: &'a mut Findings,
    expanded: usize,
    told_of_cost: bool,
}

impl Checker<'_> {
    fn query(&mut self, query: &Query) -> Option<AnalyzedCondition> {
        match query {
            Query::Or(queries) => {
                let parts = self.queries(queries)?;
                Some(AnalyzedCondition::any(parts, self.findings))
            }
            Query::And(queries) => {
                let parts = self.queries(queries)?;
                Some(AnalyzedCondition::all(parts, places(query)?))
            }
            Query::Not(query) => self.query(query).map(AnalyzedCondition::negate),
            test => {
                let span = places(test)?;
                let condition = self.test(test)?;
                Some(AnalyzedCondition::reported(self.options.producer(), condition, span))
            }
        }
    }

    /// A condition that no other is part of.
    fn test(&mut self, query: &Query) -> Option<Condition> {
        match query {
            Query::Is { field: None, any_of } if any_of.iter().all(Literal::is_anything) => Some(Condition::Always),
            Query::Is { field: None, any_of } => self.any_field(None, any_of),
            Query::Is {
                field: Some(field),
                any_of,
            } => match field.text() {
                None if field.is_anything() && any_of.iter().any(Literal::is_anything) => Some(Condition::Always),
                None => self.any_field(Some(field), any_of),
                Some(name) => {
                    let field = match self.field(&name, field.span)? {
                        Ok(field) => field,
                        Err(Undeclared) => return Some(Condition::Never),
                    };
                    let condition = is(&field, any_of);
                    if condition.is_never() {
                        self.never_fits(&field, &any_of[0]);
                    }
                    Some(condition)
                }
            },
            Query::Range { field, order, value } => self.range(field, *order, value),
            Query::Or(_) | Query::And(_) | Query::Not(_) | Query::Broken => None,
        }
    }

    /// All are checked, so that the errors of all are reported.
    fn queries(&mut self, queries: &[Query]) -> Option<Vec<AnalyzedCondition>> {
        let checked: Vec<_> = queries.iter().map(|query| self.query(query)).collect();
        checked.into_iter().collect()
    }

    /// A field with wildcards, or none: any field that it can mean.
    fn any_field(&mut self, wildcard: Option<&Literal>, any_of: &[Literal]) -> Option<Condition> {
        let span = wildcard.unwrap_or(&any_of[0]).span;
        if wildcard.is_none() && !std::mem::replace(&mut self.told_of_cost, true) {
            let message = "text without a field is looked for in every field of every event";
            self.findings
                .add(span, Code::Costly, message)
                .help("name the field: `process.name: value`");
        }
        let names = wildcard.map(Literal::pattern);
        let schema = self.options.schema();
        let is_meant = |name: &str| match &names {
            Some(names) => names.matches(name, Case::Sensitive),
            // Fields without a place of their own are among the others.
            None => schema.own_field(name).is_none(),
        };
        let others = names.is_none().then(|| FieldReference::new(schema, fields::OTHERS));
        let meant = schema.names().filter(|name| is_meant(name));
        let tests: Vec<Condition> = meant
            .filter_map(|name| FieldReference::resolve(schema, name))
            .chain(others)
            .filter(|field| field.value_type != FieldType::Group)
            .map(|field| is(&field, any_of))
            .filter(|condition| !condition.is_never())
            .collect();
        self.expanded += tests.len();
        if self.expanded > MAX_EXPANDED_FIELDS {
            let message = format!("the query's wildcards stand for more than {MAX_EXPANDED_FIELDS} fields");
            self.findings.add(span, Code::TooManyFields, message);
            return None;
        }
        if tests.is_empty() {
            self.findings
                .add(span, Code::NeverMatches, "no field fits this wildcard and value");
        }
        Some(Condition::any(tests))
    }

    /// A field that nobody has declared is as in an index without it: nothing has it. That is told.
    fn field(&mut self, name: &str, span: Span) -> Option<Result<FieldReference, Undeclared>> {
        let schema = self.options.schema();
        if FieldReference::resolve(schema, name).is_some() {
            return FieldReference::check(schema, name, span, self.findings).map(Ok);
        }
        let message = format!("no event has the field `{name}`, which is not known here");
        let nearest = (!self.findings.is_full()).then(|| FieldReference::nearest_name(schema, name));
        let finding = self.findings.add(span, Code::UndeclaredField, message);
        if let Some(nearest) = nearest.flatten() {
            finding.help(format!("did you mean `{nearest}`?"));
        }
        Some(Err(Undeclared))
    }

    fn never_fits(&mut self, field: &FieldReference, value: &Literal) {
        let message = format!("this can never match: `{}` does not hold such values", field.name());
        self.findings.add(value.span, Code::NeverMatches, message);
    }

    fn range(&mut self, field: &Literal, order: Order, value: &Literal) -> Option<Condition> {
        let (Some(name), Some(text)) = (field.text(), value.text()) else {
            self.findings
                .add(value.span, Code::RangeWildcard, "a range takes no wildcards");
            return None;
        };
        let field = match self.field(&name, field.span)? {
            Ok(field) => field,
            Err(Undeclared) => return Some(Condition::Never),
        };
        let condition = in_order(&field, order, text);
        if condition.is_never() {
            self.never_fits(&field, value);
        }
        Some(condition)
    }
}

/// Before or after the value; [`Condition::Never`] if the field does not hold such values.
pub(super) fn in_order(field: &FieldReference, order: Order, text: String) -> Condition {
    let test = match field.value_type {
        FieldType::Long | FieldType::Float => number(&text).map(|number| Test::NumberOrder(order, number)),
        FieldType::Date => return dates_in_order(field, order, &text),
        FieldType::Keyword => Some(Test::TextOrder(order, text)),
        FieldType::Text => Some(Test::AnyWord(Box::new(Test::TextOrder(order, text)))),
        FieldType::Ip => Address::parse(&text).map(|address| Test::AddressOrder(order, address)),
        FieldType::Boolean | FieldType::Object | FieldType::Group => None,
    };
    test.map_or(Condition::Never, |test| Condition::field(field.clone(), test))
}

/// As Elasticsearch rounds: after a day is after its end, until a day is until its end.
fn dates_in_order(field: &FieldReference, order: Order, text: &str) -> Condition {
    let test = match (timestamp::interval(text), order) {
        (Some(date), Order::Less | Order::GreaterOrEqual) => Test::DateOrder(order, *date.start()),
        (Some(date), Order::LessOrEqual | Order::Greater) => Test::DateOrder(order, *date.end()),
        // Rules run on each event when it happens, so its time is now.
        (None, _) if field.field == fields::TIMESTAMP => match relative::holds_now(order, text) {
            Some(true) => Test::Exists,
            Some(false) | None => return Condition::Never,
        },
        (None, _) => return Condition::Never,
    };
    Condition::field(field.clone(), test)
}

/// From the first to the last literal.
fn places(query: &Query) -> Option<Span> {
    match query {
        Query::Or(queries) | Query::And(queries) => Some(places(queries.first()?)?.to(places(queries.last()?)?)),
        Query::Not(query) => places(query),
        Query::Is { field, any_of } => {
            let last = any_of.last()?.span;
            Some(field.as_ref().map_or(any_of.first()?.span, |field| field.span).to(last))
        }
        Query::Range { field, value, .. } => Some(field.span.to(value.span)),
        Query::Broken => None,
    }
}

/// Equal to one of the values, or like one with wildcards; [`Condition::Never`] if no value fits the field.
pub(super) fn is(field: &FieldReference, any_of: &[Literal]) -> Condition {
    if any_of.iter().any(Literal::is_anything) {
        return Condition::field(field.clone(), Test::Exists);
    }
    let texts: Vec<String> = any_of.iter().filter_map(Literal::text).collect();
    let mut tests = Vec::new();
    match field.value_type {
        FieldType::Text => tests.extend(of_words(field, any_of)),
        FieldType::Keyword | FieldType::Ip | FieldType::Object => {
            let wildcards: Vec<Pattern> = any_of
                .iter()
                .filter(|literal| literal.text().is_none())
                .map(Literal::pattern)
                .collect();
            if field.value_type == FieldType::Ip {
                let networks: Vec<Network> = texts.iter().filter_map(|text| Network::parse(text)).collect();
                if !networks.is_empty() {
                    tests.push(Test::Within(networks));
                }
            } else if !texts.is_empty() {
                tests.push(Test::TextIn(texts, field.case));
            }
            if !wildcards.is_empty() {
                tests.push(Test::Like(wildcards, field.case));
            }
        }
        FieldType::Long | FieldType::Float => {
            let numbers: Vec<Number> = texts.iter().filter_map(|text| number(text)).collect();
            if !numbers.is_empty() {
                tests.push(Test::NumberIn(numbers));
            }
        }
        FieldType::Boolean => tests.extend(texts.iter().filter_map(|text| text.parse().ok()).map(Test::Boolean)),
        FieldType::Date => {
            let dates: Vec<_> = texts.iter().filter_map(|text| timestamp::interval(text)).collect();
            if !dates.is_empty() {
                tests.push(Test::DateIn(dates));
            }
        }
        FieldType::Group => {}
    }
    if tests.is_empty() {
        return Condition::Never;
    }
    Condition::any(
        tests
            .into_iter()
            .map(|test| Condition::field(field.clone(), test))
            .collect(),
    )
}

/// The tests that one of the values is in a text of words.
fn of_words(field: &FieldReference, any_of: &[Literal]) -> Vec<Test> {
    let (mut phrases, mut terms, mut patterns) = (Vec::new(), Vec::new(), Vec::new());
    for literal in any_of {
        match (literal.reading, literal.text()) {
            (Reading::Term, Some(term)) => terms.push(term),
            (Reading::Term, None) => patterns.push(literal.pattern()),
            (Reading::Phrase, text) => {
                let phrase: Vec<String> = words(&text.unwrap_or_default()).collect();
                phrases.extend((!phrase.is_empty()).then_some(phrase));
            }
            (Reading::AnyWord, _) => {
                let is_blank = |symbol: &Symbol| matches!(symbol, Symbol::Character(blank) if blank.is_whitespace());
                for part in literal.symbols.split(is_blank) {
                    let pattern = Pattern::new(part.iter().map(|symbol| match symbol {
                        Symbol::Character(letter) => Symbol::Character(lower(*letter)),
                        wildcard => *wildcard,
                    }));
                    match pattern.exact_text() {
                        Some(text) => phrases.extend(words(&text).map(|word| vec![word])),
                        None => patterns.push(pattern),
                    }
                }
            }
        }
    }
    let phrases = (!phrases.is_empty()).then_some(Test::Phrase(phrases));
    let terms = (!terms.is_empty()).then(|| Test::TextIn(terms, field.case));
    let patterns = (!patterns.is_empty()).then(|| Test::Like(patterns, field.case));
    let words = terms
        .into_iter()
        .chain(patterns)
        .map(|test| Test::AnyWord(Box::new(test)));
    phrases.into_iter().chain(words).collect()
}

fn number(text: &str) -> Option<Number> {
    let long = text.parse().ok().map(Number::Long);
    long.or_else(|| {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Number::Float)
    })
}
