//! `string` and `concat`: values as texts.

use std::borrow::Cow;

use super::{Arguments, Computed, Definition, Kind};

pub(super) const STRING: Definition = Definition {
    name: "string",
    required: &[Kind::Any],
    result: Kind::Text,
    compute: |arguments| arguments.get(0)?.to_text().map(Computed::Text),
    ..Definition::NONE
};

pub(super) const CONCAT: Definition = Definition {
    name: "concat",
    required: &[Kind::Any],
    further: Some(Kind::Any),
    result: Kind::Text,
    compute: concat,
    ..Definition::NONE
};

fn concat<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let texts = arguments.values.iter().filter_map(Computed::to_text);
    Some(Computed::Text(Cow::Owned(texts.collect())))
}
