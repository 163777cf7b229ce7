//! The syntax tree of EQL: what was written, before anything is known about fields and types.

use crate::diagnostic::Span;
use crate::value::{Case, Number, Order};

#[derive(Debug)]
pub(super) enum Query {
    Event(EventQuery),
    Sequence(SequenceQuery),
}

/// `sequence by KEYS with maxspan=T [EVENT] [EVENT] .. until [EVENT]`
#[derive(Debug)]
pub(super) struct SequenceQuery {
    pub span: Span,
    /// Keys of every term, before its own.
    pub by: Vec<Expression>,
    pub max_span_ns: Option<i64>,
    pub terms: Vec<TermSyntax>,
    pub until: Option<TermSyntax>,
}

/// `[EVENT] by KEYS with runs=N`, or `![EVENT] by KEYS`
#[derive(Debug)]
pub(super) struct TermSyntax {
    pub event: EventQuery,
    pub by: Vec<Expression>,
    pub occurrence: Occurrence,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Occurrence {
    /// So many times in a row.
    Present(usize),
    /// `![..]`: no such event at this place.
    Missing,
}

/// `CATEGORY where CONDITION`
#[derive(Debug)]
pub(super) struct EventQuery {
    /// `None` for `any`.
    pub category: Option<String>,
    pub category_span: Span,
    pub condition: Expression,
}

#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub kind: ExpressionKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum ExpressionKind {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    Field {
        name: String,
        presence: Presence,
    },
    /// `function` as written, without `~`.
    Call {
        function: String,
        case: Case,
        arguments: Vec<Expression>,
    },
    Not(Box<Expression>),
    /// Two or more.
    And(Vec<Expression>),
    /// Two or more.
    Or(Vec<Expression>),
    Comparison {
        operator: Comparison,
        left: Box<Expression>,
        right: Box<Expression>,
    },
    Membership {
        operand: Box<Expression>,
        kind: Membership,
        case: Case,
        list: Vec<Expression>,
    },
    /// A part with an error, which has been noted.
    Broken,
}

/// Whether the schema has to know the field: `?f` need not.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Presence {
    Required,
    Optional,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Order(Order),
}

/// An operator that takes a list, or one value as a list of one.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Membership {
    /// `in`, `in~`
    In,
    /// `like`, `like~`, `:`
    Like,
    /// `regex`, `regex~`
    Regex,
}
