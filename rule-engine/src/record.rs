//! One event as typed slots: what rules read instead of JSON.
//!
//! Filled once for an event, by its producer field by field or from a recorded document, then only read. A record is
//! made to be used again: after [`Record::clear`] nothing allocates that had room before. Every field is a list of
//! values; an empty list is a missing field. Most fields of the schema are missing from any one event, so a field
//! costs two bytes until it has a value.

use std::net::IpAddr;

use crate::schema::{FieldId, FieldType, Schema, fields};
use crate::value::Address;

mod coerce;
mod document;
mod envelope;
pub(crate) mod key;
mod producer;
mod reader;
pub(crate) mod streams;
pub(crate) mod values;

pub use document::{DocumentCounts, UnfitValue};
pub(crate) use document::{OF_ALERT, SUMMARY};
pub use envelope::Envelope;
pub use producer::Producer;
pub use reader::DocumentReader;

/// One value of a field.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Value<'a> {
    /// Of a [`FieldType::Keyword`], [`FieldType::Text`] or [`FieldType::Ip`]. An address has one spelling, which
    /// [`Record::address`] gives it.
    Text(&'a str),
    /// Of a [`FieldType::Long`].
    Long(i64),
    /// Of a [`FieldType::Float`].
    Float(f64),
    /// Of a [`FieldType::Boolean`].
    Boolean(bool),
    /// Of a [`FieldType::Date`]: nanoseconds since the epoch, UTC.
    Date(i64),
    /// A key of an [`FieldType::Object`] field and its text.
    Label {
        /// The name below the field's, `app` for `container.labels.app`.
        key: &'a str,
        /// Its text.
        value: &'a str,
    },
}

impl Value<'_> {
    fn fits(self, field_type: FieldType) -> bool {
        match self {
            Value::Text(text) => match field_type {
                FieldType::Ip => Address::parse(text).is_some_and(|address| address.to_string() == text),
                other => matches!(other, FieldType::Keyword | FieldType::Text),
            },
            Value::Long(_) => field_type == FieldType::Long,
            Value::Float(_) => field_type == FieldType::Float,
            Value::Boolean(_) => field_type == FieldType::Boolean,
            Value::Date(_) => field_type == FieldType::Date,
            Value::Label { .. } => field_type == FieldType::Object,
        }
    }
}

/// The slot of a field whose values a record does not take.
const UNWANTED: u16 = u16::MAX;

/// An event's fields and values.
#[derive(Clone)]
pub struct Record {
    schema: Schema,
    /// For each field of the schema: 0 while missing, [`UNWANTED`], or one more than its position in `present`.
    slots: Box<[u16]>,
    present: Vec<Present>,
    values: Vec<Stored>,
    /// All texts, one after the other.
    text: String,
    steady_ns: Option<i64>,
}

#[derive(Copy, Clone)]
struct Present {
    field: FieldId,
    first: u32,
    last: u32,
    count: u32,
}

/// A value and the position of the next value of the same field.
#[derive(Copy, Clone)]
struct Stored {
    value: StoredValue,
    next: u32,
}

#[derive(Copy, Clone)]
enum StoredValue {
    Text(TextRange),
    /// Several values, each a text with a zero byte after it.
    Texts(TextRange),
    Long(i64),
    Float(f64),
    Boolean(bool),
    Date(i64),
    Label {
        key: TextRange,
        value: TextRange,
    },
}

#[derive(Copy, Clone)]
struct TextRange {
    start: u32,
    end: u32,
}

/// Ends a field's list of values.
const NONE: u32 = u32::MAX;
/// The longest text, in bytes, that all values of one record may have together; values past it are left out.
pub const MAX_RECORD_TEXT: usize = 64 << 20;

/// Values and bytes of text for which an empty record keeps room.
const KEPT_VALUES: usize = 16 << 10;
const KEPT_TEXT: usize = 256 << 10;

impl Default for Record {
    fn default() -> Self {
        Record::new()
    }
}

impl Record {
    /// An empty record of an event with ECS's fields.
    pub fn new() -> Record {
        Record::with_schema(&Schema::ecs())
    }

    /// An empty record of an event with the schema's fields.
    pub fn with_schema(schema: &Schema) -> Record {
        Record {
            schema: schema.clone(),
            slots: vec![0; schema.field_count()].into_boxed_slice(),
            present: Vec::new(),
            values: Vec::new(),
            text: String::new(),
            steady_ns: None,
        }
    }

    /// A record that takes values of some fields only, and what counts as further values of these, for a reader of no
    /// others; those of the rest are passed over.
    pub fn only(schema: &Schema, wanted: impl Fn(FieldId) -> bool) -> Record {
        let mut record = Record::with_schema(schema);
        let wanted_fields = || schema.fields().filter(|field| wanted(*field));
        let further: Vec<FieldId> = wanted_fields()
            .filter_map(|field| schema.further_values(field))
            .collect();
        for field in schema
            .fields()
            .filter(|field| !wanted(*field) && !further.contains(field))
        {
            record.slots[field.index()] = UNWANTED;
        }
        record
    }

    /// The schema of its fields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether the record takes values of the field; what is costly to make need not be made if not.
    #[inline]
    pub fn wants(&self, field: FieldId) -> bool {
        self.slots[field.index()] != UNWANTED
    }

    /// Bytes of memory that it takes.
    pub fn allocated_bytes(&self) -> usize {
        size_of_val(&*self.slots)
            + self.present.capacity() * size_of::<Present>()
            + self.values.capacity() * size_of::<Stored>()
            + self.text.capacity()
    }

    /// Makes every field missing and keeps the memory, as much as ordinary events need of it.
    pub fn clear(&mut self) {
        for present in &self.present {
            self.slots[present.field.index()] = 0;
        }
        self.present.clear();
        self.values.clear();
        self.values.shrink_to(KEPT_VALUES);
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT);
        self.steady_ns = None;
    }

    /// Says when the event was by a clock that nobody sets, in nanoseconds since any fixed moment. What rules remember
    /// goes by it instead of `@timestamp`, so that setting the clock changes nothing. All records of an engine have such
    /// a time, or none.
    pub fn set_steady_time(&mut self, nanoseconds: i64) {
        self.steady_ns = Some(nanoseconds);
    }

    /// When the event was by a clock that nobody sets, if its producer has one.
    pub fn steady_time(&self) -> Option<i64> {
        self.steady_ns
    }

    /// When the event was: by a clock that nobody sets, or else its `@timestamp`.
    pub fn time(&self) -> Option<i64> {
        self.steady_ns.or_else(|| self.first_date(fields::TIMESTAMP))
    }

    /// Adds a value after those the field has. Returns whether there was room for it ([`MAX_RECORD_TEXT`]).
    // Of a narrow record most fields are not wanted, which is told without a call.
    #[inline]
    pub fn push(&mut self, field: FieldId, value: Value<'_>) -> bool {
        debug_assert!(
            value.fits(self.schema.field_type(field)),
            "`{}` cannot hold {value:?}",
            self.schema.name(field)
        );
        !self.wants(field) || self.add(field, value)
    }

    fn add(&mut self, field: FieldId, value: Value<'_>) -> bool {
        let value = match value {
            Value::Long(number) => StoredValue::Long(number),
            Value::Float(number) => StoredValue::Float(number),
            Value::Boolean(truth) => StoredValue::Boolean(truth),
            Value::Date(nanoseconds) => StoredValue::Date(nanoseconds),
            Value::Text(text) => match self.store(text) {
                Some(span) => StoredValue::Text(span),
                None => return false,
            },
            Value::Label { key, value } => match (self.store(key), self.store(value)) {
                (Some(key), Some(value)) => StoredValue::Label { key, value },
                _ => return false,
            },
        };
        self.append(field, value, 1);
        true
    }

    /// Appends what stands for so many values.
    fn append(&mut self, field: FieldId, value: StoredValue, count: u32) {
        let position = self.values.len() as u32;
        self.values.push(Stored { value, next: NONE });
        match self.slots[field.index()] {
            0 => {
                self.present.push(Present {
                    field,
                    first: position,
                    last: position,
                    count,
                });
                self.slots[field.index()] = self.present.len() as u16;
            }
            slot => {
                let present = &mut self.present[usize::from(slot) - 1];
                if present.first == NONE {
                    present.first = position;
                } else {
                    self.values[present.last as usize].next = position;
                }
                present.last = position;
                present.count += count;
            }
        }
    }

    /// [`Record::push`] of a text.
    pub fn text(&mut self, field: FieldId, text: &str) -> bool {
        self.push(field, Value::Text(text))
    }

    /// [`Record::push`] of many texts, as one copy: `joined` has each with a zero byte after it, and `count` says how many.
    /// What they take is their bytes, however many there are.
    pub fn texts(&mut self, field: FieldId, joined: &str, count: u32) -> bool {
        debug_assert_eq!(memchr::memchr_iter(0, joined.as_bytes()).count(), count as usize);
        debug_assert!(joined.is_empty() || joined.ends_with('\0'));
        if count == 0 || !self.wants(field) {
            return true;
        }
        let Some(span) = self.store(joined) else { return false };
        self.append(field, StoredValue::Texts(span), count);
        true
    }

    /// [`Record::push`] of an address, in the one spelling that it has here: that of IPv4 if it is mapped into IPv6.
    pub fn address(&mut self, field: FieldId, address: IpAddr) -> bool {
        self.text(field, &Address::from(address).to_string())
    }

    /// [`Record::push`] of a whole number.
    pub fn long(&mut self, field: FieldId, number: i64) -> bool {
        self.push(field, Value::Long(number))
    }

    /// [`Record::push`] of true or false.
    pub fn boolean(&mut self, field: FieldId, truth: bool) -> bool {
        self.push(field, Value::Boolean(truth))
    }

    /// [`Record::push`] of a date, in nanoseconds since the epoch, UTC.
    pub fn date(&mut self, field: FieldId, nanoseconds: i64) -> bool {
        self.push(field, Value::Date(nanoseconds))
    }

    /// Gives the field exactly these values; none makes it missing. The text of the old ones is freed by the next
    /// [`Record::clear`].
    pub fn replace(&mut self, field: FieldId, values: &[Value<'_>]) {
        if let Some(present) = self.present_mut(field) {
            present.first = NONE;
            present.last = NONE;
            present.count = 0;
        }
        for value in values {
            self.push(field, *value);
        }
    }

    /// The values of the field, none if it is missing.
    pub fn values(&self, field: FieldId) -> Values<'_> {
        Values {
            record: self,
            next: self.first(field),
            within: 0,
            further: NONE,
        }
    }

    /// The values that tests of the field are for: its own, and those that count as further ones of it.
    pub(crate) fn tested_values(&self, field: FieldId) -> Values<'_> {
        let further = self.schema.further_values(field);
        Values {
            further: further.map_or(NONE, |further| self.first(further)),
            ..self.values(field)
        }
    }

    /// How many values tests of the field are for.
    pub(crate) fn tested_count(&self, field: FieldId) -> usize {
        let further = self.schema.further_values(field);
        self.count(field) + further.map_or(0, |further| self.count(further))
    }

    fn first(&self, field: FieldId) -> u32 {
        match self.slots[field.index()] {
            0 | UNWANTED => NONE,
            slot => self.present[usize::from(slot) - 1].first,
        }
    }

    /// How many values the field has.
    #[inline]
    fn count(&self, field: FieldId) -> usize {
        match self.slots[field.index()] {
            0 | UNWANTED => 0,
            slot => self.present[usize::from(slot) - 1].count as usize,
        }
    }

    /// The first value of the field that is a text.
    pub fn first_text(&self, field: FieldId) -> Option<&str> {
        self.values(field).find_map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The first value of the field that is a whole number.
    pub fn first_long(&self, field: FieldId) -> Option<i64> {
        self.values(field).find_map(|value| match value {
            Value::Long(number) => Some(number),
            _ => None,
        })
    }

    /// The first value of the field that is a date, in nanoseconds since the epoch, UTC.
    pub fn first_date(&self, field: FieldId) -> Option<i64> {
        self.values(field).find_map(|value| match value {
            Value::Date(nanoseconds) => Some(nanoseconds),
            _ => None,
        })
    }

    /// Whether no field of the schema has a value; [`fields::OTHERS`] is none.
    pub fn is_empty(&self) -> bool {
        self.present.iter().all(|present| present.field == fields::OTHERS)
    }

    /// Whether the field has no value.
    #[inline]
    pub fn is_missing(&self, field: FieldId) -> bool {
        self.count(field) == 0
    }

    /// The fields that have a value, in the order in which they got the first one.
    pub fn fields(&self) -> impl Iterator<Item = FieldId> + '_ {
        self.present
            .iter()
            .filter(|present| present.first != NONE)
            .map(|present| present.field)
    }

    fn present_mut(&mut self, field: FieldId) -> Option<&mut Present> {
        match self.slots[field.index()] {
            0 | UNWANTED => None,
            slot => Some(&mut self.present[usize::from(slot) - 1]),
        }
    }

    fn store(&mut self, text: &str) -> Option<TextRange> {
        let start = self.text.len();
        if start + text.len() > MAX_RECORD_TEXT {
            return None;
        }
        self.text.push_str(text);
        Some(TextRange {
            start: start as u32,
            end: self.text.len() as u32,
        })
    }

    /// The texts of all values, one after the other, and of values that were replaced.
    pub(crate) fn all_text(&self) -> &str {
        &self.text
    }

    fn text_of(&self, span: TextRange) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}

/// The values of one field, in the order in which they came.
#[derive(Clone)]
pub struct Values<'a> {
    record: &'a Record,
    next: u32,
    /// Where the next one begins, if the value at `next` stands for several of which some have been given.
    within: u32,
    /// The first of those that follow them.
    further: u32,
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    // Called for every value of every event; by a call, each would go through memory, which takes twice the instructions.
    #[inline(always)]
    fn next(&mut self) -> Option<Value<'a>> {
        // `NONE` is past all of them.
        let stored = match self.record.values.get(self.next as usize) {
            Some(stored) => stored,
            None => {
                self.next = std::mem::replace(&mut self.further, NONE);
                self.record.values.get(self.next as usize)?
            }
        };
        let position = std::mem::replace(&mut self.next, stored.next);
        Some(match stored.value {
            StoredValue::Text(span) => Value::Text(self.record.text_of(span)),
            StoredValue::Texts(span) => Value::Text(self.next_within(span, position)),
            StoredValue::Long(number) => Value::Long(number),
            StoredValue::Float(number) => Value::Float(number),
            StoredValue::Boolean(truth) => Value::Boolean(truth),
            StoredValue::Date(nanoseconds) => Value::Date(nanoseconds),
            StoredValue::Label { key, value } => Value::Label {
                key: self.record.text_of(key),
                value: self.record.text_of(value),
            },
        })
    }
}

impl<'a> Values<'a> {
    /// The next one of the texts that the value at `position` stands for, which has the one after it come next.
    fn next_within(&mut self, span: TextRange, position: u32) -> &'a str {
        let start = self.within.max(span.start);
        let rest = self.record.text_of(TextRange { start, end: span.end });
        let length = memchr::memchr(0, rest.as_bytes()).unwrap_or(rest.len());
        let behind = start + length as u32 + 1;
        if behind < span.end {
            (self.next, self.within) = (position, behind);
        } else {
            self.within = 0;
        }
        &rest[..length]
    }
}

#[cfg(test)]
mod tests;
