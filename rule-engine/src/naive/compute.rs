//! EQL's functions by definition: over lists of UTF-16 units, one combination of values after the other.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::{Letters, Value, values};

#[derive(Clone, Debug)]
pub(crate) enum Expression {
    Null,
    Text(String),
    Number(Value),
    Boolean(bool),
    Field(&'static str),
    /// The function's name, with `~` if letters of any case are the same, and its arguments.
    Call(&'static str, Letters, Vec<Expression>),
    /// `+ - * / %`
    Arithmetic(char, Box<Expression>, Box<Expression>),
}

impl Expression {
    pub(crate) fn has_field(&self) -> bool {
        match self {
            Expression::Field(_) => true,
            Expression::Call(_, _, arguments) => arguments.iter().any(Expression::has_field),
            Expression::Arithmetic(_, one, other) => one.has_field() || other.has_field(),
            _ => false,
        }
    }

    fn fields(&self, into: &mut BTreeMap<&'static str, Vec<Value>>) {
        match self {
            Expression::Field(field) => {
                into.entry(field).or_default();
            }
            Expression::Call(_, _, arguments) => arguments.iter().for_each(|argument| argument.fields(into)),
            Expression::Arithmetic(_, one, other) => {
                one.fields(into);
                other.fields(into);
            }
            _ => {}
        }
    }

    /// What is computed for each combination of one value of each field; a missing field is null.
    pub(crate) fn values(&self, event: &Map<String, Json>) -> Vec<Value> {
        let mut fields = BTreeMap::new();
        self.fields(&mut fields);
        let mut combinations = vec![BTreeMap::new()];
        for field in fields.keys() {
            let mut found = values(event, field);
            if found.is_empty() {
                found.push(Value::Null);
            }
            combinations = combinations
                .iter()
                .flat_map(|combination: &BTreeMap<&str, Value>| {
                    found.iter().map(|value| {
                        let mut longer = combination.clone();
                        longer.insert(*field, value.clone());
                        longer
                    })
                })
                .collect();
        }
        combinations.iter().map(|combination| self.value(combination)).collect()
    }

    fn value(&self, fields: &BTreeMap<&str, Value>) -> Value {
        match self {
            Expression::Null => Value::Null,
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Number(number) => number.clone(),
            Expression::Boolean(truth) => Value::Boolean(*truth),
            Expression::Field(field) => fields[field].clone(),
            Expression::Arithmetic(sign, one, other) => arithmetic(*sign, &one.value(fields), &other.value(fields)),
            Expression::Call(name, letters, arguments) => {
                let is_caseless = |argument: &Expression| matches!(argument, Expression::Field(field) if field.ends_with(".caseless"));
                let of_fields = if arguments.iter().any(is_caseless) {
                    Letters::AnyCase
                } else {
                    Letters::Exact
                };
                let arguments: Vec<Value> = arguments.iter().map(|argument| argument.value(fields)).collect();
                if arguments.contains(&Value::Null) {
                    return Value::Null;
                }
                call(name, letters.or(of_fields), &arguments).unwrap_or(Value::Null)
            }
        }
    }

    pub(crate) fn written(&self) -> String {
        match self {
            Expression::Null => "null".to_owned(),
            Expression::Text(text) => format!("{text:?}"),
            Expression::Number(number) => number.written(),
            Expression::Boolean(truth) => truth.to_string(),
            Expression::Field(field) => (*field).to_owned(),
            Expression::Arithmetic(sign, one, other) => format!("({} {sign} {})", one.written(), other.written()),
            Expression::Call(name, letters, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(Expression::written).collect();
                let tilde = match letters {
                    Letters::Exact => "",
                    Letters::AnyCase => "~",
                };
                format!("{name}{tilde}({})", arguments.join(", "))
            }
        }
    }
}

fn arithmetic(sign: char, one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Whole(a), Value::Whole(b)) => {
            let (a, b) = (i128::from(*a), i128::from(*b));
            let result = match sign {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                _ if b == 0 => return Value::Null,
                '/' => a / b,
                _ => a % b,
            };
            i64::try_from(result).map_or(Value::Null, Value::Whole)
        }
        _ => {
            let (Some(a), Some(b)) = (one.as_float(), other.as_float()) else {
                return Value::Null;
            };
            let result = match sign {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                '/' => a / b,
                _ => a % b,
            };
            if result.is_finite() {
                Value::Real(result)
            } else {
                Value::Null
            }
        }
    }
}

fn units(text: &str, letters: Letters) -> Vec<u16> {
    text.chars()
        .map(|character| letters.folded(character))
        .collect::<String>()
        .encode_utf16()
        .collect()
}

fn find(text: &[u16], wanted: &[u16], from: usize) -> Option<usize> {
    (from..=text.len()).find(|at| text[*at..].starts_with(wanted))
}

fn call(name: &str, letters: Letters, arguments: &[Value]) -> Option<Value> {
    let text = |position: usize| match &arguments[position] {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    let folded = |position: usize| text(position).map(|text| units(text, letters));
    let whole = |position: usize| match arguments.get(position) {
        Some(Value::Whole(number)) => Some(*number),
        _ => None,
    };
    let sign = match name {
        "add" => '+',
        "subtract" => '-',
        "multiply" => '*',
        "divide" => '/',
        _ => '%',
    };
    Some(match name {
        "add" | "subtract" | "multiply" | "divide" | "modulo" => arithmetic(sign, &arguments[0], &arguments[1]),
        "concat" => Value::Text(arguments.iter().map(Value::to_text).collect()),
        "string" => Value::Text(arguments[0].to_text()),
        "length" => Value::Whole(units(text(0)?, Letters::Exact).len() as i64),
        "startsWith" => Value::Boolean(folded(0)?.starts_with(&folded(1)?)),
        "endsWith" => Value::Boolean(folded(0)?.ends_with(&folded(1)?)),
        "stringContains" => {
            let (whole, part) = (folded(0)?, folded(1)?);
            Value::Boolean(!part.is_empty() && find(&whole, &part, 0).is_some())
        }
        "indexOf" => {
            let from = if arguments.len() > 2 {
                usize::try_from(whole(2)?).ok()?
            } else {
                0
            };
            Value::Whole(find(&folded(0)?, &folded(1)?, from)? as i64)
        }
        "substring" => {
            let source = units(text(0)?, Letters::Exact);
            let length = source.len() as i64;
            let place = |at: i64| if at < 0 { (length + at).max(0) } else { at.min(length) } as usize;
            let start = place(whole(1)?);
            let end = if arguments.len() > 2 {
                place(whole(2)?)
            } else {
                source.len()
            };
            Value::Text(String::from_utf16_lossy(source.get(start..end).unwrap_or_default()))
        }
        "between" => {
            let (source, plain) = (folded(0)?, units(text(0)?, Letters::Exact));
            let (left, right) = (folded(1)?, folded(2)?);
            if source.is_empty() || left.is_empty() || right.is_empty() {
                return Some(arguments[0].clone());
            }
            let is_greedy = arguments.get(3) == Some(&Value::Boolean(true));
            let start = find(&source, &left, 0).map(|at| at + left.len());
            let ends = start.map(|start| (start..=source.len()).filter(|at| source[*at..].starts_with(&right)));
            let end = ends.and_then(|mut ends| if is_greedy { ends.next_back() } else { ends.next() });
            let found = start.zip(end).map_or(&[][..], |(start, end)| &plain[start..end]);
            Value::Text(String::from_utf16_lossy(found))
        }
        "number" => {
            let digits = text(0)?;
            let base = if arguments.len() > 1 { Some(whole(1)?) } else { None };
            match (digits.strip_prefix("0x"), base) {
                (Some(hexadecimal), None | Some(16)) => Value::Whole(i64::from_str_radix(hexadecimal, 16).ok()?),
                (_, None | Some(10)) => match (digits.parse::<i64>(), digits.parse::<f64>()) {
                    (Ok(number), _) => Value::Whole(number),
                    (_, Ok(number)) if number.is_finite() => Value::Real(number),
                    _ => return None,
                },
                (_, Some(base)) if (2..=36).contains(&base) => {
                    Value::Whole(i64::from_str_radix(digits, base as u32).ok()?)
                }
                _ => return None,
            }
        }
        "cidrMatch" => Value::Boolean((1..arguments.len()).any(|network| {
            let pair = text(0).zip(text(network));
            pair.is_some_and(|(address, network)| super::is_within(address, network))
        })),
        other => panic!("unknown function {other}"),
    })
}
