//! `startsWith`, `endsWith`, `stringContains`: a text within another. For a constant and a field they are a test of
//! that field, which costs less.

use super::{Computed, FunctionDefinition, Kind};
use crate::condition::test::Test;
use crate::value::{Case, Pattern, Symbol};

pub(super) const STARTS_WITH: FunctionDefinition = FunctionDefinition {
    name: "startsWith",
    compute: |arguments| {
        Some(Computed::Boolean(
            arguments.folded(0)?.starts_with(&*arguments.folded(1)?),
        ))
    },
    as_test: Some(|texts, case| Some(like(literal(texts).chain([Symbol::AnyRun]), case))),
    ..OF_TEXTS
};

pub(super) const ENDS_WITH: FunctionDefinition = FunctionDefinition {
    name: "endsWith",
    compute: |arguments| {
        Some(Computed::Boolean(
            arguments.folded(0)?.ends_with(&*arguments.folded(1)?),
        ))
    },
    as_test: Some(|texts, case| Some(like([Symbol::AnyRun].into_iter().chain(literal(texts)), case))),
    ..OF_TEXTS
};

pub(super) const STRING_CONTAINS: FunctionDefinition = FunctionDefinition {
    name: "stringContains",
    // No text contains the empty one.
    compute: |arguments| {
        let wanted = arguments.folded(1)?;
        let contains = !wanted.is_empty() && arguments.folded(0)?.contains(&*wanted);
        Some(Computed::Boolean(contains))
    },
    as_test: Some(|texts, case| {
        let run = [Symbol::AnyRun];
        let is_empty = texts.iter().any(|text| text.is_empty());
        (!is_empty).then(|| like(run.into_iter().chain(literal(texts)).chain(run), case))
    }),
    ..OF_TEXTS
};

const OF_TEXTS: FunctionDefinition = FunctionDefinition {
    required: &[Kind::Text, Kind::Text],
    result: Kind::Boolean,
    compares_text: true,
    ..FunctionDefinition::NONE
};

fn literal(texts: &[&str]) -> impl Iterator<Item = Symbol> {
    texts.iter().flat_map(|text| text.chars()).map(Symbol::Character)
}

fn like(symbols: impl Iterator<Item = Symbol>, case: Case) -> Test {
    Test::Like(vec![Pattern::new(symbols)], case)
}
