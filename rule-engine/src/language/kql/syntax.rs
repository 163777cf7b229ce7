//! The syntax tree of KQL. Lists of values are already taken apart: `f:(a and not b)` is `f:a and not f:b`.

use crate::diagnostic::Span;
use crate::value::{Order, Pattern, Symbol};

#[derive(Debug)]
pub(super) enum Query {
    Or(Vec<Query>),
    And(Vec<Query>),
    Not(Box<Query>),
    /// `field:value`, or a list of values joined by `or`; without a field, any field counts.
    Is {
        field: Option<Literal>,
        any_of: Vec<Literal>,
    },
    Range {
        field: Literal,
        order: Order,
        value: Literal,
    },
    /// A part with an error, which has been noted.
    Broken,
}

/// What of a text field a value means.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    /// One of its words, as unquoted text does.
    AnyWord,
    /// Its words in a row, as quoted text does.
    Phrase,
    /// One word, letter by letter.
    Term,
}

/// A field name or a value. `*` is a wildcard only where it was neither quoted nor escaped.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub symbols: Vec<Symbol>,
    pub reading: Reading,
    pub span: Span,
}

impl Literal {
    /// The text, if there is no wildcard in it.
    pub(super) fn text(&self) -> Option<String> {
        self.symbols
            .iter()
            .map(|symbol| match symbol {
                Symbol::Character(character) => Some(*character),
                Symbol::AnyCharacter | Symbol::AnyRun => None,
            })
            .collect()
    }

    pub(super) fn pattern(&self) -> Pattern {
        Pattern::new(self.symbols.iter().copied())
    }

    /// `*` alone.
    pub(super) fn is_anything(&self) -> bool {
        self.symbols == [Symbol::AnyRun]
    }
}
