//! The checked tree: what both query languages mean, in one form.
//!
//! Made only by the checkers of [`crate::language::eql`] and [`crate::language::kql`], so every field exists and every literal fits its
//! field. Conditions are two-valued: a test of a missing field is false, and its negation is true.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

use crate::condition::functions::Function;
use crate::run::new_terms::NewTerms;
use crate::run::sequence::Sequence;
use crate::run::threshold::Threshold;
use crate::schema::reference::{Case, FieldReference};
use crate::value::network::Network;
use crate::value::regex::Regex;

pub(crate) mod functions;

/// What a rule looks for.
#[derive(Clone, Debug)]
pub(crate) enum Detection {
    /// Each event that satisfies the condition.
    Event(Condition),
    /// Events that satisfy the condition and carry terms not seen before.
    NewTerms(Condition, NewTerms),
    Sequence(Sequence),
    /// So many events that satisfy the condition.
    Threshold(Condition, Threshold),
}

impl Detection {
    /// Calls `visit` for every field that the verdict depends on.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        match self {
            Detection::Event(condition) => condition.visit_fields(visit),
            Detection::NewTerms(condition, new_terms) => {
                condition.visit_fields(visit);
                new_terms.fields.iter().for_each(visit);
            }
            Detection::Sequence(sequence) => sequence.visit_fields(visit),
            Detection::Threshold(condition, threshold) => {
                condition.visit_fields(visit);
                threshold.visit_fields(visit);
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Condition {
    Always,
    Never,
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(FieldCondition),
    Computed(ComputedCondition),
}

/// Holds when any value of the field passes the test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FieldCondition {
    pub field: FieldReference,
    pub test: Test,
}

/// Holds when the value of a call, for some combination of the values of its fields, passes the test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ComputedCondition {
    pub call: Call,
    pub test: Test,
}

/// A function with arguments of the kinds that it takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Call {
    pub function: Function,
    pub case: Case,
    pub arguments: Vec<Term>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Term {
    Null,
    Text(String),
    Number(Number),
    Boolean(bool),
    Field(FieldReference),
    Call(Call),
}

impl Call {
    /// Calls `visit` for every field among the arguments, also of calls within.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        for argument in &self.arguments {
            match argument {
                Term::Field(field) => visit(field),
                Term::Call(call) => call.visit_fields(visit),
                Term::Null | Term::Text(_) | Term::Number(_) | Term::Boolean(_) => {}
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Test {
    Exists,
    /// One of the texts, as a whole.
    TextIn(Vec<String>, Case),
    /// One of the patterns.
    Like(Vec<Pattern>, Case),
    Regex(Regex),
    /// An address within one of the networks.
    Within(Vec<Network>),
    TextOrder(Order, String),
    NumberIn(Vec<Number>),
    NumberOrder(Order, Number),
    Boolean(bool),
    /// Nanoseconds since the epoch.
    DateIn(Vec<i64>),
    DateOrder(Order, i64),
}

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// The order that says the same with the sides exchanged.
    pub fn exchanged(self) -> Order {
        match self {
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
        }
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Number {
    Long(i64),
    Float(f64),
}

/// The same literal: unlike in a comparison, `1` and `1.0` differ, and a number that is none equals itself.
impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        match (self, other) {
            (Number::Long(one), Number::Long(other)) => one == other,
            (Number::Float(one), Number::Float(other)) => one.to_bits() == other.to_bits(),
            _ => false,
        }
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Number::Long(number) => number.hash(state),
            Number::Float(number) => number.to_bits().hash(state),
        }
    }
}

impl Number {
    /// Two whole numbers compare exactly, everything else as floating-point numbers.
    pub fn compare(self, other: Number) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Number::Long(one), Number::Long(other)) => Some(one.cmp(&other)),
            (one, other) => one.as_float().partial_cmp(&other.as_float()),
        }
    }

    pub fn as_float(self) -> f64 {
        match self {
            Number::Long(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

/// A wildcard pattern over a whole text. Never two `AnyRun`s in a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pattern(Vec<Symbol>);

#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Symbol {
    Character(char),
    /// `?` of EQL: exactly one character.
    AnyCharacter,
    /// `*`: any run of characters, also none.
    AnyRun,
}

impl Pattern {
    pub fn new(symbols: impl IntoIterator<Item = Symbol>) -> Pattern {
        let mut pattern: Vec<Symbol> = symbols.into_iter().collect();
        pattern.dedup_by(|next, previous| *next == Symbol::AnyRun && *previous == Symbol::AnyRun);
        Pattern(pattern)
    }

    /// A pattern of EQL's `like`: `*` and `?` are wildcards, and nothing takes their meaning away.
    pub fn from_like(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|character| match character {
            '*' => Symbol::AnyRun,
            '?' => Symbol::AnyCharacter,
            other => Symbol::Character(other),
        }))
    }

    /// A pattern of data stream names, in which only `*` is a wildcard.
    pub fn from_index(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|character| match character {
            '*' => Symbol::AnyRun,
            other => Symbol::Character(other),
        }))
    }

    /// The text that a pattern without wildcards stands for.
    pub fn exact_text(&self) -> Option<String> {
        let character = |symbol: &Symbol| match symbol {
            Symbol::Character(character) => Some(*character),
            Symbol::AnyCharacter | Symbol::AnyRun => None,
        };
        self.0.iter().map(character).collect()
    }

    pub fn symbols(&self) -> &[Symbol] {
        &self.0
    }
}

/// As in EQL's `like`.
impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|symbol| match symbol {
            Symbol::Character(character) => formatter.write_char(*character),
            Symbol::AnyCharacter => formatter.write_char('?'),
            Symbol::AnyRun => formatter.write_char('*'),
        })
    }
}

impl Condition {
    /// Any of the conditions; one alone stays itself.
    pub fn any(mut conditions: Vec<Condition>) -> Condition {
        if conditions.len() == 1 {
            conditions.remove(0)
        } else {
            Condition::Any(conditions)
        }
    }

    /// The same with conditions of one kind within one another taken together.
    pub fn flattened(self) -> Condition {
        fn flatten(
            conditions: Vec<Condition>,
            inner: fn(Condition) -> Result<Vec<Condition>, Condition>,
        ) -> Vec<Condition> {
            let flat = conditions.into_iter().map(Condition::flattened).map(inner);
            flat.flat_map(|condition| condition.unwrap_or_else(|other| vec![other]))
                .collect()
        }
        match self {
            Condition::All(conditions) => Condition::All(flatten(conditions, |condition| match condition {
                Condition::All(inner) => Ok(inner),
                other => Err(other),
            })),
            Condition::Any(conditions) => Condition::any(flatten(conditions, |condition| match condition {
                Condition::Any(inner) => Ok(inner),
                other => Err(other),
            })),
            Condition::Not(condition) => condition.flattened().negate(),
            other => other,
        }
    }

    pub fn is_never(&self) -> bool {
        matches!(self, Condition::Never)
    }

    pub fn negate(self) -> Condition {
        Condition::Not(Box::new(self))
    }

    pub fn field(field: FieldReference, test: Test) -> Condition {
        Condition::Field(FieldCondition { field, test })
    }

    /// Calls `visit` for every field that the condition reads.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        match self {
            Condition::Always | Condition::Never => {}
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.visit_fields(visit));
            }
            Condition::Not(condition) => condition.visit_fields(visit),
            Condition::Field(condition) => visit(&condition.field),
            Condition::Computed(condition) => condition.call.visit_fields(visit),
        }
    }
}
