//! `add`, `subtract`, `multiply`, `divide`, `modulo`, which are also written `+ - * / %`.

use super::{Arguments, Computed, FunctionDefinition, Kind};
use crate::value::Number;

pub(super) const ADD: FunctionDefinition = FunctionDefinition {
    name: "add",
    compute: |arguments| of_two(arguments, i64::checked_add, |a, b| a + b),
    ..OF_NUMBERS
};

pub(super) const SUBTRACT: FunctionDefinition = FunctionDefinition {
    name: "subtract",
    compute: |arguments| of_two(arguments, i64::checked_sub, |a, b| a - b),
    ..OF_NUMBERS
};

pub(super) const MULTIPLY: FunctionDefinition = FunctionDefinition {
    name: "multiply",
    compute: |arguments| of_two(arguments, i64::checked_mul, |a, b| a * b),
    ..OF_NUMBERS
};

pub(super) const DIVIDE: FunctionDefinition = FunctionDefinition {
    name: "divide",
    compute: |arguments| of_two(arguments, i64::checked_div, |a, b| a / b),
    ..OF_NUMBERS
};

pub(super) const MODULO: FunctionDefinition = FunctionDefinition {
    name: "modulo",
    compute: |arguments| of_two(arguments, i64::checked_rem, |a, b| a % b),
    ..OF_NUMBERS
};

const OF_NUMBERS: FunctionDefinition = FunctionDefinition {
    required: &[Kind::Number, Kind::Number],
    result: Kind::Number,
    ..FunctionDefinition::NONE
};

/// Whole numbers stay whole; a division of theirs drops the rest.
fn of_two<'a>(
    arguments: &Arguments<'_, 'a>,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Option<Computed<'a>> {
    let number = match (arguments.number(0)?, arguments.number(1)?) {
        (Number::Long(one), Number::Long(other)) => Number::Long(whole(one, other)?),
        (one, other) => Number::Float(float(one.as_float(), other.as_float())),
    };
    match number {
        Number::Float(number) if !number.is_finite() => None,
        number => Some(Computed::Number(number)),
    }
}
