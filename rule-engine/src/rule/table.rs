//! A TOML table, read key by key: a value of another type than wanted is noted where it stands.

use std::ops::Range;

use serde_json::{Map, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Findings, Span};

/// A table of the file, `name` as its header would say it.
#[derive(Copy, Clone)]
pub(crate) struct Table<'a> {
    pub name: &'a str,
    pub span: Span,
    table: &'a DeTable<'a>,
}

/// A value and where it stands in the file.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Located<T> {
    pub value: T,
    pub span: Span,
}

impl<'a> Table<'a> {
    pub(super) fn new(name: &'a str, table: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table {
            name,
            span: span(table.span()),
            table: table.get_ref(),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = Located<&'a str>> {
        self.table.keys().map(|key| Located {
            value: key.get_ref().as_ref(),
            span: span(key.span()),
        })
    }

    /// Whether the key has a list or table with something in it, or any other value.
    pub(super) fn has_content(&self, key: &str) -> Option<Span> {
        let value = self.table.get(key)?;
        let empty = match value.get_ref() {
            DeValue::Array(list) => list.is_empty(),
            DeValue::Table(table) => table.is_empty(),
            _ => false,
        };
        (!empty).then(|| span(value.span()))
    }

    /// Whether the key has just this text.
    pub(super) fn is_text(&self, key: &str, text: &str) -> bool {
        self.table.get(key).and_then(|value| value.get_ref().as_str()) == Some(text)
    }

    pub(super) fn text(&self, key: &str, findings: &mut Findings) -> Option<Located<&'a str>> {
        self.typed(key, "a text", findings, DeValue::as_str)
    }

    pub(super) fn integer(&self, key: &str, findings: &mut Findings) -> Option<Located<i64>> {
        self.typed(key, "a whole number", findings, |value| {
            let integer = value.as_integer()?;
            i64::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    pub(super) fn table(&self, key: &'a str, findings: &mut Findings) -> Option<Table<'a>> {
        let table = self.typed(key, "a table", findings, |value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        })?;
        Some(Table {
            name: key,
            span: table.span,
            table: table.value,
        })
    }

    /// A list of tables; a missing one is empty.
    pub(super) fn tables(&self, key: &'a str, findings: &mut Findings) -> Vec<Table<'a>> {
        self.list(key, "a table", findings, |value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        })
        .into_iter()
        .map(|table| Table {
            name: key,
            span: table.span,
            table: table.value,
        })
        .collect()
    }

    /// A list of texts; a missing one is empty.
    pub(super) fn texts(&self, key: &str, findings: &mut Findings) -> Vec<Located<&'a str>> {
        self.list(key, "a text", findings, DeValue::as_str)
    }

    /// A list of texts, or one text alone; a missing one is empty.
    pub(super) fn text_or_texts(&self, key: &str, findings: &mut Findings) -> Vec<Located<&'a str>> {
        if self.table.get(key).is_some_and(|value| value.get_ref().is_str()) {
            return self.text(key, findings).into_iter().collect();
        }
        self.texts(key, findings)
    }

    pub(super) fn json(&self, key: &str) -> Option<Json> {
        self.table.get(key).map(|value| json(value.get_ref()))
    }

    /// The table as a JSON object.
    pub(super) fn object(&self) -> Map<String, Json> {
        object(self.table)
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        findings: &mut Findings,
        read: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Located<T>> {
        let value = self.table.get(key)?;
        let span = span(value.span());
        let read = read(value.get_ref());
        if read.is_none() {
            findings.add(
                span,
                Code::WrongType,
                format!("`{key}` in `[{}]` must be {wanted}", self.name),
            );
        }
        read.map(|value| Located { value, span })
    }

    fn list<T>(
        &self,
        key: &str,
        wanted: &str,
        findings: &mut Findings,
        read: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Vec<Located<T>> {
        let Some(list) = self.typed(key, "a list", findings, |value| value.as_array()) else {
            return Vec::new();
        };
        let mut values = Vec::with_capacity(list.value.len());
        for value in list.value.iter() {
            let span = span(value.span());
            match read(value.get_ref()) {
                Some(value) => values.push(Located { value, span }),
                None => {
                    let message = format!("each value of `{key}` in `[{}]` must be {wanted}", self.name);
                    findings.add(span, Code::WrongType, message);
                }
            }
        }
        values
    }
}

pub(crate) fn span(range: Range<usize>) -> Span {
    Span::new(range.start, range.end)
}

fn object(table: &DeTable<'_>) -> Map<String, Json> {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
        .collect()
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => number.into(),
            Err(_) => integer.as_str().into(),
        },
        DeValue::Float(float) => float
            .as_str()
            .parse::<f64>()
            .map_or_else(|_| float.as_str().into(), Json::from),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Array(list) => list.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => object(table).into(),
    }
}
