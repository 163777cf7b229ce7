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
    "HostConfig",
    "ID",
    "Id",
    "Image",
    "Labels",
    "Metadata",
    "Mounts",
    "Name",
    "Privileged",
    "RW",
    "Source",
    "StartedAt",
    "State",
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
    "timeNano",
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(shape: Shape, text: &str, piece: usize) -> Result<Vec<Read>, NotJson> {
        let mut reader = Reader::new(shape);
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(piece.max(1)) {
            reader.push(piece, &mut |value| found.push(value))?;
        }
        Ok(found)
    }

    fn one(text: &str) -> Read {
        let mut found = read(Shape::Values, text, usize::MAX).expect("JSON");
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0)
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let read = one(r#"{"Id": "a", "Env": [{"x": ["]"]}, 1], "State": {"Pid": 7, "StartedAt": null}, "RW": true}"#);
        let value = json!({"Id": "a", "State": {"StartedAt": null}, "RW": true});
        assert_eq!(read, Read { value, is_cut: false });
        assert_eq!(
            one(r#"{"Labels": {"any": "x"}}"#).value,
            json!({"Labels": {"any": "x"}})
        );
    }

    #[test]
    fn elements_come_one_by_one_and_an_odd_one_takes_nothing_from_the_others() {
        let found = read(
            Shape::Elements,
            r#" [{"Id":"a","State":"stopped"}, 7, null, {"Id":["b"]}, {"Id":"c"}] "#,
            3,
        );
        let found: Vec<Value> = found.expect("JSON").into_iter().map(|read| read.value).collect();
        let expected = json!([{"Id": "a", "State": "stopped"}, 7, null, {"Id": ["b"]}, {"Id": "c"}]);
        assert_eq!(Value::Array(found), expected);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["{}", "7", "\"a\"", "[] 7", "[]]", "[{]", "[}", ",[]"] {
            assert_eq!(read(Shape::Elements, text, 1), Err(NotJson), "{text}");
        }
        for text in ["}{", "{7:1}", "{[]:1}", "{\"Id\"}", "\u{1b}", "nul ", "{\"x\"}"] {
            assert_eq!(read(Shape::Values, text, 1), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn however_much_the_owner_of_a_container_says_its_name_and_image_are_read() {
        let labels: String = (0..50_000)
            .map(|number| format!(r#""aaa{number}": "{}","#, "x".repeat(90)))
            .collect();
        let mounts = format!(r#"{{"Source": "/{}"}},"#, "y".repeat(5_000)).repeat(1_000);
        let read = one(&format!(
            r#"{{"Id": "i", "Mounts": [{mounts}1], "Config": {{"Labels": {{{labels}"z": ""}}, "Image": "nginx"}}, "Name": "/web"}}"#
        ));
        assert!(read.is_cut);
        assert_eq!(
            (&read.value["Name"], &read.value["Config"]["Image"]),
            (&json!("/web"), &json!("nginx"))
        );
        assert!(read.value["Mounts"].as_array().is_some_and(|mounts| mounts.len() > 10));

        let event = one(&format!(
            r#"{{"Actor": {{"Attributes": {{{labels}"image": "nginx", "name": "web"}}}}}}"#
        ));
        let attributes = &event.value["Actor"]["Attributes"];
        assert_eq!(
            (&attributes["name"], &attributes["image"]),
            (&json!("web"), &json!("nginx"))
        );
    }

    #[test]
    fn a_text_is_cut_between_its_characters() {
        for unit in ["a", "é", "大", "🐚", r"\n", r"\u00e9", r"\ud83d\udc1a", r"\\"] {
            let text = format!(r#"{{"Name": "x{}"}}"#, unit.repeat(TEXT_BYTES));
            let read = one(&text);
            assert!(read.is_cut);
            let name = read.value["Name"].as_str().expect("a text");
            assert!(name.len() > TEXT_BYTES / 12 && !name.contains('\u{fffd}'), "{unit}");
        }
    }

    #[test]
    fn an_endless_value_takes_no_more_memory_than_its_limits() {
        let endless = [
            "x",
            "[",
            "{\"Config\":",
            "[1,",
            "\"",
            "[\"a\",",
            "{\"Labels\":{\"x",
            " ",
            "1",
            "[{},",
        ];
        for unit in endless {
            let mut reader = Reader::new(Shape::Values);
            for _ in 0..200_000 {
                let _ = reader.push(unit.as_bytes(), &mut |_| {});
                let taken = reader.text.capacity() + reader.bytes;
                assert!(
                    taken <= 2 * TEXT_BYTES + VALUE_BYTES && reader.levels.len() <= DEPTH,
                    "{unit}"
                );
            }
        }
    }

    /// JSON of which every member is asked for, within the limits.
    fn small() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,20}|.{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let keys = prop::sample::select(KEYS.iter().filter(|key| !MAPS.contains(key)).collect::<Vec<_>>());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(keys.prop_map(|key| (*key).to_owned()), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_small_is_read_as_it_is(value in small(), piece in 1..40_usize) {
            let found = read(Shape::Values, &format!("{value} "), piece).expect("JSON");
            prop_assert_eq!(found, [Read { value: value.clone(), is_cut: false }]);
            let found = read(Shape::Elements, &format!("[{value},\n{value}]"), piece).expect("JSON");
            prop_assert!(found.iter().all(|found| found.value == value) && found.len() == 2);
        }

        #[test]
        fn where_the_pieces_end_does_not_matter(text in r#"[\[\]{}:, "a1\\]{0,60}|[\[\]{}:,]{0,20}|.{0,40}"#, piece in 1..7_usize) {
            for shape in [Shape::Values, Shape::Elements] {
                prop_assert_eq!(read(shape, &text, piece), read(shape, &text, usize::MAX));
            }
        }
    }
}
