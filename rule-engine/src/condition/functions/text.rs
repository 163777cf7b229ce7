//! `string` and `concat`: values as texts.

use std::borrow::Cow;

use super::{Arguments, Computed, FunctionDefinition, Kind};

pub(super) const STRING: FunctionDefinition = FunctionDefinition {
    name: "string",
    required: &[Kind::Any],
    result: Kind::Text,
    compute: |arguments| arguments.get(0)?.to_text().map(Computed::Text),
    ..FunctionDefinition::NONE
};

pub(super) const CONCAT: FunctionDefinition = FunctionDefinition {
    name: "concat",
    required: &[Kind::Any],
    further: Some(Kind::Any),
    result: Kind::Text,
    compute: concat,
    ..FunctionDefinition::NONE
};

fn concat<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let texts = arguments.values.iter().filter_map(Computed::to_text);
    Some(Computed::Text(Cow::Owned(texts.collect())))
}
