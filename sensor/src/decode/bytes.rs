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

/// A path from its components, last one first and each ended by a zero byte.
pub(super) fn path(components: &[u8], cut: bool) -> String {
    let mut path = Vec::with_capacity(components.len() + 4);
    if cut {
        path.extend_from_slice(b"...");
    }
    let components = components.strip_suffix(b"\0").unwrap_or(components);
    // The root of a file system is called `/`; a component never is.
    for component in components
        .rsplit(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && *name != b"/")
    {
        path.push(b'/');
        path.extend_from_slice(component);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    String::from_utf8(path).unwrap_or_else(|error| text(error.as_bytes()))
}

/// Text from bytes that a process chose; what is not UTF-8 becomes U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
