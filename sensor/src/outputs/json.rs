//! One JSON document a line.

use std::io::{self, Write};

use crate::text::document::Document;

/// Writes the document and the end of its line.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write_line(output: &mut impl Write, document: &Document) -> io::Result<()> {
    serde_json::to_writer(&mut *output, document)?;
    output.write_all(b"\n")
}
