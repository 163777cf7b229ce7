//! `length`, `indexOf`, `substring`: texts by positions, which count UTF-16 units as Elasticsearch does.

use super::computed::{offset, part, units};
use super::{Arguments, Computed, FunctionDefinition, Kind};
use crate::value::Number;

pub(super) const LENGTH: FunctionDefinition = FunctionDefinition {
    name: "length",
    required: &[Kind::Text],
    result: Kind::Number,
    compute: |arguments| Some(Computed::Number(Number::Long(units(arguments.text(0)?)))),
    ..FunctionDefinition::NONE
};

pub(super) const INDEX_OF: FunctionDefinition = FunctionDefinition {
    name: "indexOf",
    required: &[Kind::Text, Kind::Text],
    optional: &[Kind::Number],
    result: Kind::Number,
    compares_text: true,
    compute: index_of,
    ..FunctionDefinition::NONE
};

pub(super) const SUBSTRING: FunctionDefinition = FunctionDefinition {
    name: "substring",
    required: &[Kind::Text, Kind::Number],
    optional: &[Kind::Number],
    result: Kind::Text,
    compute: substring,
    ..FunctionDefinition::NONE
};

fn index_of<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let from = match arguments.get(2) {
        Some(_) => usize::try_from(arguments.whole(2)?).ok()?,
        None => 0,
    };
    let source = arguments.folded(0)?;
    let start = offset(&source, from)?;
    let found = source[start..].find(&*arguments.folded(1)?)?;
    Some(Computed::Number(Number::Long(units(&source[..start + found]))))
}

fn substring<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let source = arguments.text(0)?;
    let length = units(source);
    let position = |at: i64| if at < 0 { (at + length).max(0) } else { at.min(length) };
    let start = position(arguments.whole(1)?);
    let end = match arguments.get(2) {
        Some(_) => position(arguments.whole(2)?),
        None => length,
    };
    let start = offset(source, start as usize)?;
    let end = offset(source, end as usize)?.max(start);
    part(arguments.get(0)?, start..end).map(Computed::Text)
}
