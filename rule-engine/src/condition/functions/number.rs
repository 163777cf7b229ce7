//! `number(text[, base])`: a text as a number.

use super::{Arguments, Computed, FunctionDefinition, Kind};
use crate::value::Number;

pub(super) const NUMBER: FunctionDefinition = FunctionDefinition {
    name: "number",
    required: &[Kind::Text],
    optional: &[Kind::Number],
    result: Kind::Number,
    compute,
    ..FunctionDefinition::NONE
};

fn compute<'a>(arguments: &Arguments<'_, 'a>) -> Option<Computed<'a>> {
    let base = match arguments.get(1) {
        Some(_) => Some(u32::try_from(arguments.whole(1)?).ok()?),
        None => None,
    };
    parse_number(arguments.text(0)?, base).map(Computed::Number)
}

fn parse_number(text: &str, base: Option<u32>) -> Option<Number> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match (hexadecimal, base) {
        (Some(digits), None | Some(16)) => i64::from_str_radix(digits, 16).ok().map(Number::Long),
        (_, Some(base)) if base != 10 => (2..=36)
            .contains(&base)
            .then(|| i64::from_str_radix(text, base).ok())
            .flatten()
            .map(Number::Long),
        _ => text.parse().ok().map(Number::Long).or_else(|| {
            text.parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Number::Float)
        }),
    }
}
