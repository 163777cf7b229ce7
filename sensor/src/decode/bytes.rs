//! Reads the bytes of a record.

use thiserror::Error;
use zerocopy::FromBytes;

/// Why bytes from the ring buffer are not a record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("a record of {0} bytes is shorter than its kind's fixed part")]
    Short(usize),
    #[error("a record says that it holds more than its {0} bytes")]
    Overrun(usize),
    #[error("a record is of the unknown kind {0}")]
    UnknownKind(u16),
    #[error("further arguments without the exec that they belong to")]
    Orphan,
}

/// A record's fixed part, and the bytes after it.
pub(super) fn fixed_part<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    T::read_from_prefix(bytes).map_err(|_| DecodeError::Short(bytes.len()))
}

/// What of a path is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    #[default]
    Nothing,
    /// A part of the middle.
    Middle,
    /// The outermost part; what is there may lie anywhere.
    Beginning,
}

/// A path from its components, last one first and each ended by a zero byte, and from the rest of them. An empty one
/// stands for what is left out, and becomes `...`.
pub(super) fn path(components: &[u8], rest: &[u8]) -> (String, LeftOut) {
    let mut path = Vec::with_capacity(components.len() + rest.len() + 4);
    let mut left_out = LeftOut::Nothing;
    // The root of a file system is called `/`; a component never is.
    for component in outermost_first(rest)
        .chain(outermost_first(components))
        .filter(|component| *component != b"/")
    {
        let is_mark = component.is_empty();
        if is_mark {
            left_out = left_out.max(if path.is_empty() {
                LeftOut::Beginning
            } else {
                LeftOut::Middle
            });
        }
        if !(is_mark && path.is_empty()) {
            path.push(b'/');
        }
        path.extend_from_slice(if is_mark { b"..." } else { component });
    }
    if path.is_empty() {
        path.push(b'/');
    }
    let path = String::from_utf8(path).unwrap_or_else(|error| text(error.as_bytes()));
    (path, left_out)
}

fn outermost_first(components: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = components.strip_suffix(b"\0");
    std::iter::from_fn(move || {
        let all = rest?;
        let Some(end) = memchr::memrchr(0, all) else {
            return rest.take();
        };
        rest = Some(&all[..end]);
        Some(&all[end + 1..])
    })
}

/// Text from bytes that a process chose; what is not UTF-8 becomes U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    // Nearly always UTF-8, which is found out much faster by looking for nothing else.
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
