//! Numbers of rules and events: whole ones compare exactly.

use std::hash::{Hash, Hasher};

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
    pub(crate) fn compare(self, other: Number) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Number::Long(one), Number::Long(other)) => Some(one.cmp(&other)),
            (one, other) => one.as_float().partial_cmp(&other.as_float()),
        }
    }

    pub(crate) fn as_float(self) -> f64 {
        match self {
            Number::Long(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}
