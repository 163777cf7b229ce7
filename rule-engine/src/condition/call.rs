//! Calls of functions, checked.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::functions::{Computed, Function};
use crate::schema::FieldReference;
use crate::value::{Case, Number};

/// A function with arguments of the kinds that it takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Call {
    pub function: Function,
    pub case: Case,
    pub arguments: Vec<Argument>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Argument {
    Null,
    Text(String),
    Number(Number),
    Boolean(bool),
    Field(FieldReference),
    Call(Call),
}

impl Call {
    /// Calls `visit` for every field among the arguments, also of calls within.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        for argument in &self.arguments {
            match argument {
                Argument::Field(field) => visit(field),
                Argument::Call(call) => call.visit_fields(visit),
                Argument::Null | Argument::Text(_) | Argument::Number(_) | Argument::Boolean(_) => {}
            }
        }
    }
}

impl Call {
    /// What the call gives, where its fields have these values.
    pub(crate) fn compute<'a>(&'a self, value: &dyn Fn(&FieldReference) -> Computed<'a>) -> Computed<'a> {
        let arguments: SmallVec<[Computed<'a>; 4]> = self
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Null => Computed::Null,
                Argument::Text(text) => Computed::Text(Cow::Borrowed(text)),
                Argument::Number(number) => Computed::Number(*number),
                Argument::Boolean(truth) => Computed::Boolean(*truth),
                Argument::Field(field) => value(field),
                Argument::Call(inner) => inner.compute(value),
            })
            .collect();
        self.function.apply(self.case, &arguments)
    }

    /// What the call gives in every event, if it has no field.
    pub(crate) fn constant(&self) -> Option<Computed<'_>> {
        let mut has_field = false;
        self.visit_fields(&mut |_| has_field = true);
        (!has_field).then(|| self.compute(&|_| Computed::Null))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(", self.function.definition().name)?;
        for (position, argument) in self.arguments.iter().enumerate() {
            if position > 0 {
                formatter.write_str(", ")?;
            }
            match argument {
                Argument::Null => formatter.write_str("null"),
                Argument::Text(text) => write!(formatter, "`{text}`"),
                Argument::Number(Number::Long(number)) => number.fmt(formatter),
                Argument::Number(Number::Float(number)) => number.fmt(formatter),
                Argument::Boolean(truth) => truth.fmt(formatter),
                Argument::Field(field) => formatter.write_str(&field.name()),
                Argument::Call(call) => call.fmt(formatter),
            }?;
        }
        formatter.write_str(")")
    }
}
