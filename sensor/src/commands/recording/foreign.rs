//! Inputs that are not text of UTF-8, by how they begin.

/// What to do with an input that begins with this line, if it is one that another program has to turn into text.
pub(super) fn what_to_do(line: &[u8]) -> Option<String> {
    const UTF_16: &str = "it is UTF-16, of which `iconv -f UTF-16 -t UTF-8` makes UTF-8";
    const COMPRESSED: [(&[u8], &str); 6] = [
        (b"\x1f\x8b", "gzip -dc"),
        (b"\x28\xb5\x2f\xfd", "zstd -dc"),
        (b"\xfd7zXZ\0", "xz -dc"),
        (b"BZh", "bzip2 -dc"),
        (b"\x04\x22\x4d\x18", "lz4 -dc"),
        (b"PK\x03\x04", "unzip -p"),
    ];
    // With a byte order mark, or a brace or bracket first.
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] = line {
        return Some(UTF_16.to_owned());
    }
    let (_, program) = COMPRESSED.iter().find(|(magic, _)| line.starts_with(magic))?;
    Some(format!(
        "it is compressed: pipe what `{program}` makes of it into this command, with `-` as its input"
    ))
}
