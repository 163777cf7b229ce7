//! JSON from engines, cut to size while it is read.
//!
//! Values are built from pieces as they come, with only those members whose keys the clients ask for, so that it takes no
//! more memory than what is kept of it, however much is said. What is too long is cut, what is too deep or too much is
//! left out, and the value is said to be cut. What a container's owner chooses, such as a thousand labels, so does not
//! cost the container its name and image.

use serde_json::{Map, Value};

/// The members that are read, of all engines' answers together.
const KEYS: &[&str] = &[
    "Action",
    "Actor",
    "ApiVersion",
    "Attributes",
    "CgroupParent",
    "Config",
    "Destination",
    "Entrypoint",
    "Healthcheck",
    "HostConfig",
    "ID",
    "Id",
    "Image",
    "Labels",
    "Metadata",
    "Mounts",
    "Name",
    "OpenStdin",
    "Privileged",
    "RW",
    "Source",
    "StartedAt",
    "State",
    "Test",
    "Tty",
    "Type",
    "User",
    "Version",
    "access",
    "allow",
    "annotations",
    "bounding",
    "capabilities",
    "cgroupsPath",
    "config",
    "destination",
    "devices",
    "gid",
    "labels",
    "linux",
    "maskedPaths",
    "message",
    "metadata",
    "mounts",
    "name",
    "namespace",
    "options",
    "privileged",
    "process",
    "resources",
    "runtimeSpec",
    "sandboxID",
    "security_context",
    "source",
    "stdin",
    "timeNano",
    "tty",
    "type",
    "uid",
    "user",
];
/// Of these, all members are read.
const MAPS: &[&str] = &["Labels", "labels", "Attributes", "annotations"];
/// Kept even beyond the limits of their object, once: what an event says of its container stands among the labels.
const ALWAYS_KEPT: &[&str] = &["image", "name"];

/// The longest text that is kept, in bytes as written.
const TEXT_BYTES: usize = 4 * 1024;
/// The longest number.
const SCALAR_BYTES: usize = 32;
/// How deep values are nested in each other.
const DEPTH: usize = 12;
/// What one object or list may take. The objects and lists in it count where their number is anybody's choice.
const LEVEL_BYTES: usize = 128 * 1024;
/// What a whole value may take.
const VALUE_BYTES: usize = 384 * 1024;
/// What each member or element takes beside its text.
const ENTRY_BYTES: usize = 96;

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Values, one after the other.
    Values,
    /// The elements of one list.
    Elements,
}

/// The text is not JSON. The values before may have been.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("what it says is not JSON")]
pub(crate) struct NotJson;

/// A value, and whether something of it was left out.
#[derive(Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) is_cut: bool,
}

/// Reads values from pieces of text.
pub(crate) struct Reader {
    shape: Shape,
    /// Of the list whose elements are read.
    list: ListState,
    token: Token,
    /// The text of the token so far.
    text: Vec<u8>,
    levels: Vec<Level>,
    /// How many objects and lists have begun inside what is left out.
    skipped: Option<usize>,
    bytes: usize,
    is_cut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListState {
    Before,
    Inside,
    After,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    None,
    Text { is_escaped: bool },
    Scalar,
}

/// An object or list that has begun.
struct Level {
    content: Content,
    bytes: usize,
    keeps_all_keys: bool,
}

enum Content {
    Object {
        members: Map<String, Value>,
        key: Option<String>,
    },
    List(Vec<Value>),
}

impl Reader {
    pub(crate) fn new(shape: Shape) -> Reader {
        Reader {
            shape,
            list: ListState::Before,
            token: Token::None,
            text: Vec::new(),
            levels: Vec::new(),
            skipped: None,
            bytes: 0,
            is_cut: false,
        }
    }

    /// Whether a value has begun and not ended, or a list.
    pub(crate) fn is_within(&self) -> bool {
        self.token != Token::None || !self.levels.is_empty() || self.skipped.is_some() || self.list == ListState::Inside
    }

    /// Whether the list has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.list == ListState::After
    }

    /// Takes the next piece; `found` gets each value that ends in it.
    pub(crate) fn push(&mut self, piece: &[u8], found: &mut impl FnMut(Read)) -> Result<(), NotJson> {
        for byte in piece {
            self.take(*byte, found)?;
        }
        Ok(())
    }

    fn take(&mut self, byte: u8, found: &mut impl FnMut(Read)) -> Result<(), NotJson> {
        match self.token {
            Token::Text { is_escaped } => {
                if byte == b'"' && !is_escaped {
                    self.token = Token::None;
                    return self.end_text(found);
                }
                self.token = Token::Text {
                    is_escaped: byte == b'\\' && !is_escaped,
                };
                self.keep(byte, TEXT_BYTES);
                return Ok(());
            }
            Token::Scalar if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {
                self.keep(byte, SCALAR_BYTES);
                return Ok(());
            }
            Token::Scalar => {
                self.token = Token::None;
                self.end_scalar(found)?;
            }
            Token::None => {}
        }
        match byte {
            b'{' | b'[' => self.begin(byte),
            b'}' | b']' => self.end(byte, found),
            b'"' => {
                self.token = Token::Text { is_escaped: false };
                self.text.clear();
                self.check_place()
            }
            // A key and its value are known by their order, and an element by its end.
            b',' | b':' => self.check_place(),
            byte if byte.is_ascii_whitespace() => Ok(()),
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                self.token = Token::Scalar;
                self.text.clear();
                self.keep(byte, SCALAR_BYTES);
                self.check_place()
            }
            _ => Err(NotJson),
        }
    }

    /// One byte more than the limit shows that there was more.
    fn keep(&mut self, byte: u8, limit: usize) {
        if self.skipped.is_none() && self.text.len() <= limit {
            self.text.push(byte);
        }
    }

    /// Elements stand in their list, and nothing follows it.
    fn check_place(&self) -> Result<(), NotJson> {
        match (self.shape, self.list) {
            (Shape::Values, _) | (Shape::Elements, ListState::Inside) => Ok(()),
            (Shape::Elements, ListState::Before | ListState::After) => Err(NotJson),
        }
    }

    fn begin(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.shape == Shape::Elements && self.list == ListState::Before {
            if byte == b'{' {
                return Err(NotJson);
            }
            self.list = ListState::Inside;
            return Ok(());
        }
        self.check_place()?;
        if let Some(depth) = &mut self.skipped {
            *depth += 1;
            return Ok(());
        }
        let mut keeps_all_keys = false;
        if let Some(level) = self.levels.last_mut() {
            match &level.content {
                Content::Object { key: None, .. } => return Err(NotJson),
                Content::Object { key: Some(key), .. } => keeps_all_keys = MAPS.contains(&key.as_str()),
                Content::List(_) => {}
            }
            level.bytes += ENTRY_BYTES;
            self.bytes += ENTRY_BYTES;
            let is_too_much = level.bytes > LEVEL_BYTES || self.bytes > VALUE_BYTES;
            if is_too_much || self.levels.len() >= DEPTH {
                self.is_cut = true;
                self.skipped = Some(1);
                return Ok(());
            }
        }
        self.levels.push(Level {
            content: match byte {
                b'{' => Content::Object {
                    members: Map::new(),
                    key: None,
                },
                _ => Content::List(Vec::new()),
            },
            bytes: 0,
            keeps_all_keys,
        });
        Ok(())
    }

    fn end(&mut self, byte: u8, found: &mut impl FnMut(Read)) -> Result<(), NotJson> {
        match self.skipped {
            // The kinds of brackets do not matter in what nobody reads.
            Some(1) => {
                self.skipped = None;
                self.end_left_out();
                return Ok(());
            }
            Some(depth @ 2..) => {
                self.skipped = Some(depth - 1);
                return Ok(());
            }
            Some(0) => return Err(NotJson),
            None => {}
        }
        let Some(level) = self.levels.pop() else {
            if byte == b']' && self.list == ListState::Inside {
                self.list = ListState::After;
                return Ok(());
            }
            return Err(NotJson);
        };
        let value = match (level.content, byte) {
            (Content::Object { members, key: None }, b'}') => Value::Object(members),
            (Content::List(elements), b']') => Value::Array(elements),
            _ => return Err(NotJson),
        };
        if let Some(parent) = self.levels.last_mut()
            && (parent.keeps_all_keys || matches!(parent.content, Content::List(_)))
        {
            parent.bytes += level.bytes;
        }
        self.add(value, found);
        Ok(())
    }

    fn end_text(&mut self, found: &mut impl FnMut(Read)) -> Result<(), NotJson> {
        if self.skipped.is_some() {
            if self.skipped == Some(0) {
                self.skipped = None;
                self.end_left_out();
            }
            return Ok(());
        }
        if self.text.len() > TEXT_BYTES {
            self.is_cut = true;
            let whole = whole_characters(&self.text, TEXT_BYTES);
            self.text.truncate(whole);
        }
        let mut quoted = Vec::with_capacity(self.text.len() + 2);
        quoted.push(b'"');
        quoted.extend(&self.text);
        quoted.push(b'"');
        // A text that is none costs itself alone.
        let text = serde_json::from_slice::<String>(&quoted).unwrap_or_else(|_| {
            self.is_cut = true;
            String::new()
        });
        if let Some(Level {
            content: Content::Object {
                members,
                key: key @ None,
            },
            keeps_all_keys,
            bytes,
        }) = self.levels.last_mut()
        {
            let size = ENTRY_BYTES + text.len();
            let is_wanted = *keeps_all_keys || KEYS.contains(&text.as_str());
            let has_room = *bytes + size <= LEVEL_BYTES && self.bytes + size <= VALUE_BYTES
                || ALWAYS_KEPT.contains(&text.as_str()) && !members.contains_key(&text);
            if is_wanted && has_room {
                *bytes += size;
                self.bytes += size;
            } else {
                self.is_cut |= is_wanted;
                self.skipped = Some(0);
            }
            *key = Some(text);
            return Ok(());
        }
        self.add(Value::String(text), found);
        Ok(())
    }

    fn end_scalar(&mut self, found: &mut impl FnMut(Read)) -> Result<(), NotJson> {
        if self.skipped.is_some() {
            if self.skipped == Some(0) {
                self.skipped = None;
                self.end_left_out();
            }
            return Ok(());
        }
        if let Some(Level {
            content: Content::Object { key: None, .. },
            ..
        }) = self.levels.last()
        {
            return Err(NotJson);
        }
        let value = if self.text.len() > SCALAR_BYTES {
            self.is_cut = true;
            Value::Null
        } else {
            serde_json::from_slice(&self.text).map_err(|_| NotJson)?
        };
        self.add(value, found);
        Ok(())
    }

    /// A member that is left out has ended.
    fn end_left_out(&mut self) {
        if let Some(Level {
            content: Content::Object { key, .. },
            ..
        }) = self.levels.last_mut()
        {
            *key = None;
        }
    }

    /// Puts a value where it belongs, if there is room for it. Objects and lists had to have it when they began.
    fn add(&mut self, value: Value, found: &mut impl FnMut(Read)) {
        let Some(level) = self.levels.last_mut() else {
            self.bytes = 0;
            let is_cut = std::mem::take(&mut self.is_cut);
            return found(Read { value, is_cut });
        };
        let size = match (&value, &level.content) {
            (Value::Object(_) | Value::Array(_), _) => 0,
            (leaf, Content::Object { .. }) => leaf.as_str().map_or(0, str::len),
            (leaf, Content::List(_)) => ENTRY_BYTES + leaf.as_str().map_or(0, str::len),
        };
        let has_room = size == 0 || level.bytes + size <= LEVEL_BYTES && self.bytes + size <= VALUE_BYTES;
        match &mut level.content {
            Content::Object { members, key } => {
                let Some(key) = key.take() else { return };
                if !has_room && !ALWAYS_KEPT.contains(&key.as_str()) {
                    self.is_cut = true;
                    return;
                }
                members.insert(key, value);
            }
            Content::List(elements) if has_room => elements.push(value),
            Content::List(_) => {
                self.is_cut = true;
                return;
            }
        }
        level.bytes += size;
        self.bytes += size;
    }
}

/// How many of the first bytes of a text as written are whole characters: an escape is not cut in its middle, nor the two
/// that are one character.
fn whole_characters(text: &[u8], limit: usize) -> usize {
    let mut at = 0;
    while let Some(first) = text.get(at) {
        let is_high_surrogate = text[at..].starts_with(b"\\u")
            && text.get(at + 2).is_some_and(|digit| digit.eq_ignore_ascii_case(&b'd'))
            && text.get(at + 3).is_some_and(|digit| b"89abAB".contains(digit));
        let length = match first {
            b'\\' if is_high_surrogate => 12,
            b'\\' if text.get(at + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            0xf0.. => 4,
            0xe0.. => 3,
            0xc0.. => 2,
            _ => 1,
        };
        if at + length > limit {
            break;
        }
        at += length;
    }
    at
}

#[cfg(test)]
mod tests;
