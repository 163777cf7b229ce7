//! EQL's functions: their names, what they take and give, and what they compute. Null in, null out.

use std::borrow::Cow;
use std::ops::Range;

use crate::schema::nearest;
use crate::value::{Case, Network, Number};

/// A function that computes a value.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Function {
    Add,
    Between,
    CidrMatch,
    Concat,
    Divide,
    EndsWith,
    IndexOf,
    Length,
    Modulo,
    Multiply,
    Number,
    StartsWith,
    String,
    StringContains,
    Substring,
    Subtract,
}

/// What a value is, as far as functions tell values apart.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Number,
    Boolean,
    Any,
}

/// What a function takes and gives.
pub(crate) struct Signature {
    pub required: &'static [Kind],
    pub optional: &'static [Kind],
    /// Any number of further arguments.
    pub further: Option<Kind>,
    pub result: Kind,
}

const ALL: [(&str, Function); 16] = [
    ("add", Function::Add),
    ("between", Function::Between),
    ("cidrMatch", Function::CidrMatch),
    ("concat", Function::Concat),
    ("divide", Function::Divide),
    ("endsWith", Function::EndsWith),
    ("indexOf", Function::IndexOf),
    ("length", Function::Length),
    ("modulo", Function::Modulo),
    ("multiply", Function::Multiply),
    ("number", Function::Number),
    ("startsWith", Function::StartsWith),
    ("string", Function::String),
    ("stringContains", Function::StringContains),
    ("substring", Function::Substring),
    ("subtract", Function::Subtract),
];

impl Function {
    /// Real rules write the names in several ways, so case does not count.
    pub fn by_name(name: &str) -> Option<Function> {
        ALL.iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, function)| *function)
    }

    /// The function with the fewest edits to the name, or what is written today in place of one that EQL had before.
    pub fn help(name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "wildcard" => return Some("write `field : (\"a*\", \"*b\")`".to_owned()),
            "match" | "matchlite" => return Some("write `field regex \"pattern\"`".to_owned()),
            "arraycontains" => return Some("write `field == value`: any value of a field counts".to_owned()),
            _ => {}
        }
        let nearest = nearest(name, ALL.iter().map(|(known, _)| *known))?;
        Some(format!("did you mean `{nearest}`?"))
    }

    pub fn name(self) -> &'static str {
        ALL.iter()
            .find(|(_, function)| *function == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether there is a form with `~` that compares texts without regard to case.
    pub fn compares_text(self) -> bool {
        use Function::{Between, EndsWith, IndexOf, StartsWith, StringContains};
        matches!(self, Between | EndsWith | IndexOf | StartsWith | StringContains)
    }

    pub fn signature(self) -> Signature {
        let plain = |required, result| Signature {
            required,
            optional: &[],
            further: None,
            result,
        };
        match self {
            Function::Add | Function::Divide | Function::Modulo | Function::Multiply | Function::Subtract => {
                plain(&[Kind::Number, Kind::Number], Kind::Number)
            }
            Function::Between => Signature {
                optional: &[Kind::Boolean],
                ..plain(&[Kind::Text, Kind::Text, Kind::Text], Kind::Text)
            },
            Function::CidrMatch => Signature {
                further: Some(Kind::Text),
                ..plain(&[Kind::Text, Kind::Text], Kind::Boolean)
            },
            Function::Concat => Signature {
                further: Some(Kind::Any),
                ..plain(&[Kind::Any], Kind::Text)
            },
            Function::EndsWith | Function::StartsWith | Function::StringContains => {
                plain(&[Kind::Text, Kind::Text], Kind::Boolean)
            }
            Function::IndexOf => Signature {
                optional: &[Kind::Number],
                ..plain(&[Kind::Text, Kind::Text], Kind::Number)
            },
            Function::Length => plain(&[Kind::Text], Kind::Number),
            Function::Number => Signature {
                optional: &[Kind::Number],
                ..plain(&[Kind::Text], Kind::Number)
            },
            Function::String => plain(&[Kind::Any], Kind::Text),
            Function::Substring => Signature {
                optional: &[Kind::Number],
                ..plain(&[Kind::Text, Kind::Number], Kind::Text)
            },
        }
    }

    /// The function's value; null when an argument is null or there is no value (a division by zero, a text that is
    /// no number, an overflow).
    pub fn apply<'a>(self, case: Case, arguments: &[Computed<'a>]) -> Computed<'a> {
        if arguments.iter().any(|argument| matches!(argument, Computed::Null)) {
            return Computed::Null;
        }
        self.value(case, arguments).unwrap_or(Computed::Null)
    }

    fn value<'a>(self, case: Case, arguments: &[Computed<'a>]) -> Option<Computed<'a>> {
        let text = |position: usize| arguments.get(position).and_then(Computed::as_text);
        let number = |position: usize| arguments.get(position).and_then(Computed::as_number);
        let whole = |position: usize| match number(position)? {
            Number::Long(number) => Some(number),
            Number::Float(_) => None,
        };
        let folded = |position: usize| text(position).map(|text| fold(text, case));
        Some(match self {
            Function::Add => arithmetic(number(0)?, number(1)?, i64::checked_add, |a, b| a + b)?,
            Function::Subtract => arithmetic(number(0)?, number(1)?, i64::checked_sub, |a, b| a - b)?,
            Function::Multiply => arithmetic(number(0)?, number(1)?, i64::checked_mul, |a, b| a * b)?,
            Function::Divide => arithmetic(number(0)?, number(1)?, i64::checked_div, |a, b| a / b)?,
            Function::Modulo => arithmetic(number(0)?, number(1)?, i64::checked_rem, |a, b| a % b)?,
            Function::CidrMatch => {
                let address = text(0)?;
                let mut networks = arguments.iter().skip(1).filter_map(Computed::as_text);
                Computed::Boolean(networks.any(|text| {
                    let network = Network::parse(text);
                    network.is_some_and(|network| network.contains(address))
                }))
            }
            Function::Concat => Computed::Text(Cow::Owned(
                arguments.iter().filter_map(Computed::to_text).collect::<String>(),
            )),
            Function::String => Computed::Text(arguments.first()?.to_text()?),
            Function::StartsWith => Computed::Boolean(folded(0)?.starts_with(&*folded(1)?)),
            Function::EndsWith => Computed::Boolean(folded(0)?.ends_with(&*folded(1)?)),
            Function::StringContains => Computed::Boolean(folded(0)?.contains(&*folded(1)?)),
            Function::Length => Computed::Number(Number::Long(units(text(0)?))),
            Function::IndexOf => {
                let from = if arguments.len() > 2 {
                    usize::try_from(whole(2)?).ok()?
                } else {
                    0
                };
                let source = folded(0)?;
                let start = offset(&source, from)?;
                let found = source[start..].find(&*folded(1)?)?;
                Computed::Number(Number::Long(units(&source[..start + found])))
            }
            Function::Number => {
                let base = if arguments.len() > 1 {
                    Some(u32::try_from(whole(1)?).ok()?)
                } else {
                    None
                };
                Computed::Number(parse_number(text(0)?, base)?)
            }
            Function::Substring => {
                let source = text(0)?;
                let length = units(source);
                let position = |at: i64| if at < 0 { (at + length).max(0) } else { at.min(length) };
                let start = position(whole(1)?);
                let end = if arguments.len() > 2 {
                    position(whole(2)?)
                } else {
                    length
                };
                let start = offset(source, start as usize)?;
                let end = offset(source, end as usize)?.max(start);
                Computed::Text(part(arguments.first()?, start..end)?)
            }
            Function::Between => {
                let (source, left, right) = (text(0)?, text(1)?, text(2)?);
                let greed = match arguments.get(3) {
                    Some(Computed::Boolean(true)) => Greed::ToLast,
                    _ => Greed::ToNext,
                };
                Computed::Text(part(arguments.first()?, between(source, left, right, case, greed))?)
            }
        })
    }
}

/// The value of a term for one event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Computed<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(Number),
    Boolean(bool),
}

impl Computed<'_> {
    fn as_text(&self) -> Option<&str> {
        match self {
            Computed::Text(text) => Some(text),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self {
            Computed::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl<'a> Computed<'a> {
    fn to_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Computed::Null => None,
            Computed::Text(text) => Some(text.clone()),
            Computed::Number(Number::Long(number)) => Some(Cow::Owned(number.to_string())),
            Computed::Number(Number::Float(number)) => Some(Cow::Owned(number.to_string())),
            Computed::Boolean(truth) => Some(Cow::Owned(truth.to_string())),
        }
    }
}

fn fold(text: &str, case: Case) -> Cow<'_, str> {
    match case {
        Case::Sensitive => Cow::Borrowed(text),
        Case::Insensitive => Cow::Owned(text.to_ascii_lowercase()),
    }
}

/// Whole numbers stay whole; a division of theirs drops the rest.
fn arithmetic<'a>(
    one: Number,
    other: Number,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Option<Computed<'a>> {
    let number = match (one, other) {
        (Number::Long(one), Number::Long(other)) => Number::Long(whole(one, other)?),
        (one, other) => Number::Float(float(one.as_float(), other.as_float())),
    };
    match number {
        Number::Float(number) if !number.is_finite() => None,
        number => Some(Computed::Number(number)),
    }
}

/// Length as Elasticsearch counts it: in UTF-16 units.
fn units(text: &str) -> i64 {
    text.encode_utf16().count() as i64
}

/// The byte offset of a position counted in UTF-16 units; within a pair, that behind the character.
fn offset(text: &str, position: usize) -> Option<usize> {
    let mut passed = 0;
    for (at, character) in text.char_indices() {
        if passed >= position {
            return Some(at);
        }
        passed += character.len_utf16();
    }
    (passed >= position).then_some(text.len())
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
    // Folding letters of ASCII keeps every offset.
    let (folded, left, right) = (fold(source, case), fold(left, case), fold(right, case));
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

/// A part of a text; of one of the event's own texts without a copy.
fn part<'a>(text: &Computed<'a>, range: Range<usize>) -> Option<Cow<'a, str>> {
    match text {
        Computed::Text(Cow::Borrowed(text)) => Some(Cow::Borrowed(&text[range])),
        Computed::Text(Cow::Owned(text)) => Some(Cow::Owned(text[range].to_owned())),
        _ => None,
    }
}
