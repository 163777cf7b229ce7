//! Calls of functions, checked.

use std::fmt;

use super::functions::Function;
use crate::schema::FieldReference;
use crate::value::{Case, Number};

/// A function with arguments of the kinds that it takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Call {
    pub function: Function,
    pub case: Case,
    pub arguments: Vec<Term>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Term {
    Null,
    Text(String),
    Number(Number),
    Boolean(bool),
    Field(FieldReference),
    Call(Call),
}

impl Call {
    /// Calls `visit` for every field among the arguments, also of calls within.
    pub fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        for argument in &self.arguments {
            match argument {
                Term::Field(field) => visit(field),
                Term::Call(call) => call.visit_fields(visit),
                Term::Null | Term::Text(_) | Term::Number(_) | Term::Boolean(_) => {}
            }
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(", self.function.name())?;
        for (position, argument) in self.arguments.iter().enumerate() {
            if position > 0 {
                formatter.write_str(", ")?;
            }
            match argument {
                Term::Null => formatter.write_str("null"),
                Term::Text(text) => write!(formatter, "`{text}`"),
                Term::Number(Number::Long(number)) => number.fmt(formatter),
                Term::Number(Number::Float(number)) => number.fmt(formatter),
                Term::Boolean(truth) => truth.fmt(formatter),
                Term::Field(field) => formatter.write_str(&field.name()),
                Term::Call(call) => call.fmt(formatter),
            }?;
        }
        formatter.write_str(")")
    }
}
