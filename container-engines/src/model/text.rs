//! Limits on the text that engines pass on.
//!
//! Names, labels and image references are chosen by whoever made the container or its image, so every text is bounded
//! before it is kept; how many labels were cut or dropped is returned to the caller, who counts it. What is kept is as
//! the engine has it and is escaped where it is displayed; only what this crate itself puts into lines of text, versions
//! and errors, is escaped here.

use std::collections::BTreeMap;

/// The longest name, image reference part, digest or user that is kept, in bytes.
pub(crate) const TEXT_BYTES: usize = 512;
/// The most labels of one container that are kept.
const LABELS_AT_MOST: usize = 64;
/// A label with a longer key is left out: a cut key could pass for another one.
const LABEL_KEY_BYTES: usize = 256;
/// Longer values are cut.
const LABEL_VALUE_BYTES: usize = 1024;
/// All keys and values of one container together.
const LABELS_BYTES: usize = 8 * 1024;
/// The longest id of a container; containerd's names have up to 76 characters.
const ID_BYTES: usize = 128;
/// What the keys begin with by which engines and the kubelet tell what a container is. An image, which may add as many
/// labels as it likes, does not push them out.
const ENGINES_KEYS: [&str; 3] = ["io.kubernetes.", "io.cri-containerd.", "nerdctl/"];
/// Letters that are blank, which [`char::escape_debug`] does not escape.
const BLANK_LETTERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Cuts a text to [`TEXT_BYTES`].
pub(crate) fn bounded(text: &str) -> String {
    cut(text, TEXT_BYTES).to_owned()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// What a pair of texts takes.
pub(crate) fn pair_bytes((key, value): &(String, String)) -> usize {
    key.len() + value.len() + size_of::<(String, String)>()
}

/// Whether a container can have this id: what engines accept as a name, and fit to be a part of a path.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= ID_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether this is a random id, which no other container ever has; a name can be used again.
pub(crate) fn is_random_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A text as it may stand in a line for people: cut to so many bytes, and with everything escaped that is not visible.
pub(crate) fn visible(text: &str, bytes: usize) -> String {
    let escaped = |character: char| match character {
        '\'' | '"' | '\\' => character.to_string(),
        character if BLANK_LETTERS.contains(&character) => character.escape_unicode().to_string(),
        character => character.escape_debug().to_string(),
    };
    let mut visible: String = cut(text, bytes).chars().map(escaped).collect();
    visible.truncate(visible.floor_char_boundary(bytes));
    visible
}

/// Keeps what fits the limits, sorted by key, what engines add of their own before all others. Also returns how many
/// labels were left out or cut.
///
/// Takes no more room than what is kept, however many there are.
pub(crate) fn bounded_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Vec<(String, String)>, u64) {
    let mut first: BTreeMap<(bool, &str), &str> = BTreeMap::new();
    let mut lost = 0;
    for (key, value) in labels {
        let is_anybodys = !ENGINES_KEYS.iter().any(|beginning| key.starts_with(beginning));
        if key.len() > LABEL_KEY_BYTES {
            lost += 1;
            continue;
        }
        first.insert((is_anybodys, key), value);
        if first.len() > LABELS_AT_MOST {
            first.pop_last();
            lost += 1;
        }
    }
    let mut kept = Vec::with_capacity(first.len());
    let mut bytes = 0;
    for ((_, key), whole) in first {
        let value = cut(whole, LABEL_VALUE_BYTES);
        let size = key.len() + value.len();
        if bytes + size > LABELS_BYTES {
            lost += 1;
            continue;
        }
        bytes += size;
        lost += u64::from(value.len() < whole.len());
        kept.push((key.to_owned(), value.to_owned()));
    }
    kept.sort();
    (kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn bounded_pairs(labels: &[(String, String)]) -> (Vec<(String, String)>, u64) {
        bounded_labels(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    #[test]
    fn labels_are_sorted_by_key() {
        let (kept, lost) = bounded_pairs(&[label("b", "2"), label("a", "1")]);
        assert_eq!(kept, [label("a", "1"), label("b", "2")]);
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_long_value_is_cut_and_counted() {
        let (kept, lost) = bounded_pairs(&[label("a", &"é".repeat(LABEL_VALUE_BYTES))]);
        assert_eq!(kept[0].1.len(), LABEL_VALUE_BYTES);
        assert_eq!(lost, 1);
    }

    #[test]
    fn a_long_key_leaves_its_label_out() {
        let (kept, lost) = bounded_pairs(&[label(&"k".repeat(LABEL_KEY_BYTES + 1), "v")]);
        assert_eq!(kept, []);
        assert_eq!(lost, 1);
    }

    #[test]
    fn no_number_of_labels_pushes_out_what_the_engine_says() {
        let mut labels: Vec<_> = (0..1000)
            .map(|number| label(&format!("a{number}"), &"x".repeat(1000)))
            .collect();
        labels.push(label("io.kubernetes.pod.name", "web-0"));
        let (kept, lost) = bounded_pairs(&labels);
        assert!(kept.contains(&label("io.kubernetes.pod.name", "web-0")));
        assert_eq!(kept.len() + lost as usize, labels.len());
    }

    #[test]
    fn a_line_cannot_be_forged() {
        let forged = visible("1\n2026 ERROR \u{1b}[2K\u{202e}\u{2800}é\"", 200);
        assert_eq!(forged, r#"1\n2026 ERROR \u{1b}[2K\u{202e}\u{2800}é""#);
        assert_eq!(visible(&"\n".repeat(1000), 64).len(), 64);
    }

    #[test]
    fn an_id_is_never_a_way_through_the_file_system() {
        for id in ["web", "a_b.c-9", &"f".repeat(64)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", ".", "..", "../x", "a/b", "a b", "a\n", "é", "-a", &"f".repeat(129)] {
            assert!(!is_id(id), "{id}");
        }
    }

    proptest! {
        #[test]
        fn labels_stay_within_their_limits(
            sizes in prop::collection::vec((0..300_usize, 0..1200_usize), 0..100),
        ) {
            let total = sizes.len();
            let labels: Vec<_> = sizes
                .into_iter()
                .enumerate()
                .map(|(number, (key, value))| label(&format!("{number}{}", "é".repeat(key / 2)), &"x".repeat(value)))
                .collect();
            let (kept, lost) = bounded_pairs(&labels);
            prop_assert!(kept.len() <= LABELS_AT_MOST);
            prop_assert!(total - kept.len() <= lost as usize);
            let bytes: usize = kept.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert!(bytes <= LABELS_BYTES);
        }

        #[test]
        fn what_is_displayed_is_visible_and_bounded(text in any::<String>(), bytes in 0..100_usize) {
            let visible = visible(&text, bytes);
            prop_assert!(visible.len() <= bytes && !visible.contains(char::is_control));
        }
    }
}
