//! `between(source, left, right[, greedy])`: what lies between two texts.

use std::ops::Range;

use super::computed::part;
use super::{Arguments, Computed, FunctionDefinition, Kind};
use crate::value::Case;
use crate::value::case::folded;

pub(super) const BETWEEN: FunctionDefinition = FunctionDefinition {
    name: "between",
    required: &[Kind::Text, Kind::Text, Kind::Text],
    optional: &[Kind::Boolean],
    result: Kind::Text,
    compares_text: true,
    compute,
    ..FunctionDefinition::NONE
};

fn compute<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let (source, left, right) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    let greed = match arguments.get(3) {
        Some(Computed::Boolean(true)) => Greed::ToLast,
        _ => Greed::ToNext,
    };
    let range = between(source, left, right, arguments.case, greed);
    part(arguments.get(0)?, range).map(Computed::Text)
}

/// Which `right` ends what [`between`] finds.
#[derive(Copy, Clone)]
enum Greed {
    ToNext,
    ToLast,
}

/// Where what lies between the first `left` and the next or last `right` is; nowhere when one of them is missing.
fn between(source: &str, left: &str, right: &str, case: Case, greed: Greed) -> Range<usize> {
    if source.is_empty() || left.is_empty() || right.is_empty() {
        return 0..source.len();
    }
    let (folded, left, right) = (folded(source, case), folded(left, case), folded(right, case));
    let Some(start) = folded.find(&*left).map(|at| at + left.len()) else {
        return 0..0;
    };
    let behind = &folded[start..];
    let end = match greed {
        Greed::ToNext => behind.find(&*right),
        Greed::ToLast => behind.rfind(&*right),
    };
    end.map_or(0..0, |end| start..start + end)
}
