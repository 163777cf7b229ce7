//! EQL's functions: what they are called, what they take and give, and what they compute. Null in, null out.
//!
//! Each is a [`FunctionDefinition`] in a file of its family; [`ALL`] brings them together.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::test::Test;
use crate::schema::nearest;
use crate::value::case::folded;
use crate::value::{Case, Number};

mod arithmetic;
mod between;
mod cidr_match;
mod computed;
mod number;
mod position;
mod search;
mod text;

pub(crate) use computed::Computed;

static ALL: [FunctionDefinition; 16] = [
    arithmetic::ADD,
    arithmetic::DIVIDE,
    arithmetic::MODULO,
    arithmetic::MULTIPLY,
    arithmetic::SUBTRACT,
    between::BETWEEN,
    cidr_match::CIDR_MATCH,
    number::NUMBER,
    position::INDEX_OF,
    position::LENGTH,
    position::SUBSTRING,
    search::ENDS_WITH,
    search::STARTS_WITH,
    search::STRING_CONTAINS,
    text::CONCAT,
    text::STRING,
];

type AsTest = fn(&[&str], Case) -> Option<Test>;

/// All there is to know of a function.
pub(crate) struct FunctionDefinition {
    pub name: &'static str,
    pub required: &'static [Kind],
    pub optional: &'static [Kind],
    /// Any number of further arguments.
    pub further: Option<Kind>,
    pub result: Kind,
    /// Whether there is a form with `~` that compares texts without regard to case.
    pub compares_text: bool,
    /// Computes the value; none of the arguments is null. `None` if there is no value: a division by zero, a text that
    /// is no number, an overflow.
    compute: for<'a> fn(&Arguments<'_, 'a>) -> Option<Computed<'a>>,
    /// The test of a field that is the same as the function of that field and these constants, if there is one.
    pub as_test: Option<AsTest>,
}

impl FunctionDefinition {
    /// What a definition need not say.
    const NONE: FunctionDefinition = FunctionDefinition {
        name: "",
        required: &[],
        optional: &[],
        further: None,
        result: Kind::Any,
        compares_text: false,
        compute: |_| None,
        as_test: None,
    };
}

/// A function that computes a value.
#[derive(Copy, Clone)]
pub(crate) struct Function(&'static FunctionDefinition);

/// What a value is, as far as functions tell values apart.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Number,
    Boolean,
    /// A constant text that names a network.
    Network,
    Any,
}

/// The arguments of a call for one event.
struct Arguments<'c, 'a> {
    case: Case,
    values: &'c [Computed<'a>],
}

impl Function {
    /// Real rules write the names in several ways, so case does not count.
    pub(crate) fn by_name(name: &str) -> Option<Function> {
        let known = ALL.iter().find(|known| known.name.eq_ignore_ascii_case(name));
        known.map(Function)
    }

    /// The function with the fewest edits to the name, or what is written today in place of one that EQL had before.
    pub(crate) fn help(name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "wildcard" => return Some("write `field : (\"a*\", \"*b\")`".to_owned()),
            "match" | "matchlite" => return Some("write `field regex \"pattern\"`".to_owned()),
            "arraycontains" => return Some("write `field == value`: any value of a field counts".to_owned()),
            _ => {}
        }
        let nearest = nearest(name, ALL.iter().map(|known| known.name))?;
        Some(format!("did you mean `{nearest}`?"))
    }

    pub(crate) fn definition(self) -> &'static FunctionDefinition {
        self.0
    }

    /// The function's value; null when an argument is null or there is no value.
    pub(crate) fn apply<'a>(self, case: Case, values: &[Computed<'a>]) -> Computed<'a> {
        if values.iter().any(|argument| matches!(argument, Computed::Null)) {
            return Computed::Null;
        }
        (self.0.compute)(&Arguments { case, values }).unwrap_or(Computed::Null)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.name)
    }
}

impl<'c, 'a> Arguments<'c, 'a> {
    fn get(&self, position: usize) -> Option<&'c Computed<'a>> {
        self.values.get(position)
    }

    fn text(&self, position: usize) -> Option<&'c str> {
        self.get(position)?.as_text()
    }

    /// The text as it is compared.
    fn folded(&self, position: usize) -> Option<Cow<'c, str>> {
        self.text(position).map(|text| folded(text, self.case))
    }

    fn number(&self, position: usize) -> Option<Number> {
        self.get(position)?.as_number()
    }

    fn whole(&self, position: usize) -> Option<i64> {
        match self.number(position)? {
            Number::Long(number) => Some(number),
            Number::Float(_) => None,
        }
    }
}
