//! Where a place inside a TOML text lies in the file, so that an error in a query shows the line of the file.

/// The offset, within the text as it is written in the file (quotes included), of the byte at `offset` of its value.
pub(super) fn offset_in_source(source: &str, offset: usize) -> usize {
    let opening = if source.starts_with("'''") || source.starts_with("\"\"\"") {
        3
    } else {
        1
    };
    let mut at = opening;
    if opening == 3 {
        // A line break directly after the opening quotes is not part of the value.
        let body = &source[opening.min(source.len())..];
        at += if body.starts_with("\r\n") {
            2
        } else {
            usize::from(body.starts_with('\n'))
        };
    }
    if source.starts_with('\'') {
        return (at + offset).min(source.len());
    }
    let mut value_offset = 0;
    while value_offset < offset {
        let Some((source_bytes, value_bytes)) = step(source.get(at..).unwrap_or_default()) else {
            break;
        };
        at += source_bytes;
        value_offset += value_bytes;
    }
    // A backslash at the end of a line gives nothing, so the place is after it.
    while let Some((source_bytes, 0)) = step(source.get(at..).unwrap_or_default()) {
        at += source_bytes;
    }
    at.min(source.len())
}

/// How many bytes the next character takes in the source, and how many in the value.
fn step(rest: &str) -> Option<(usize, usize)> {
    let mut characters = rest.chars();
    let first = characters.next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let digits = match characters.next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        blank if blank.is_whitespace() => {
            let following = rest[1..].trim_start();
            return Some((rest.len() - following.len(), 0));
        }
        single => return Some((1 + single.len_utf8(), 1)),
    };
    let code = rest
        .get(2..2 + digits)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let character = code.and_then(char::from_u32)?;
    Some((2 + digits, character.len_utf8()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value_of(source: &str) -> String {
        let table: toml::Table = format!("v = {source}").parse().expect("valid TOML");
        table["v"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn places_are_found_in_every_kind_of_text() {
        for source in [
            "'plain'",
            "'''\nliteral \\n'''",
            "'''literal'''",
            r#""a\tb\u00e9 \"x\" c""#,
            "\"\"\"\n  a \\\n   b\\\\ c\n\"\"\"",
            "\"\"\"\r\nab\"\"\"",
        ] {
            let value = value_of(source);
            for (offset, character) in value.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
                let found = offset_in_source(source, offset);
                assert_eq!(source[found..].chars().next(), Some(character), "{source} at {offset}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_source_and_offset_gives_a_place_within_it(source in r#"["'\\nux0-9a-fé ]{0,20}"#, offset in 0_usize..40) {
            prop_assert!(offset_in_source(&source, offset) <= source.len().max(1));
        }
    }
}
