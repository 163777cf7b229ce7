//! Limits on the text that engines pass on.
//!
//! Names, labels and image references are chosen by whoever made the container or its image, so every text is bounded
//! before it is kept; how many labels were cut or dropped is returned to the caller, who counts it. Nothing is escaped
//! here: that is done where text is displayed.

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

/// Cuts a text to [`TEXT_BYTES`].
pub(crate) fn bounded(text: &str) -> String {
    cut(text, TEXT_BYTES).to_owned()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Sorts labels by key and keeps what fits the limits. Also returns how many labels were left out or cut.
pub(crate) fn bounded_labels(labels: impl IntoIterator<Item = (String, String)>) -> (Vec<(String, String)>, u64) {
    let mut labels: Vec<_> = labels.into_iter().collect();
    labels.sort();
    let mut kept = Vec::with_capacity(labels.len().min(LABELS_AT_MOST));
    let mut bytes = 0;
    let mut lost = 0;
    for (key, value) in labels {
        let whole = value.len();
        let value = cut(&value, LABEL_VALUE_BYTES);
        let size = key.len() + value.len();
        if kept.len() == LABELS_AT_MOST || key.len() > LABEL_KEY_BYTES || bytes + size > LABELS_BYTES {
            lost += 1;
            continue;
        }
        bytes += size;
        lost += u64::from(value.len() < whole);
        kept.push((key, value.to_owned()));
    }
    (kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn labels_are_sorted_by_key() {
        let (kept, lost) = bounded_labels([label("b", "2"), label("a", "1")]);
        assert_eq!(kept, [label("a", "1"), label("b", "2")]);
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_long_value_is_cut_and_counted() {
        let (kept, lost) = bounded_labels([label("a", &"é".repeat(LABEL_VALUE_BYTES))]);
        assert_eq!(kept[0].1.len(), LABEL_VALUE_BYTES);
        assert_eq!(lost, 1);
    }

    #[test]
    fn a_long_key_leaves_its_label_out() {
        let (kept, lost) = bounded_labels([label(&"k".repeat(LABEL_KEY_BYTES + 1), "v")]);
        assert_eq!(kept, []);
        assert_eq!(lost, 1);
    }

    proptest! {
        #[test]
        fn labels_stay_within_their_limits(
            sizes in prop::collection::vec((0..300_usize, 0..1200_usize), 0..100),
        ) {
            let total = sizes.len();
            let labels = sizes.into_iter().map(|(key, value)| label(&"é".repeat(key / 2), &"x".repeat(value)));
            let (kept, lost) = bounded_labels(labels);
            prop_assert!(kept.len() <= LABELS_AT_MOST);
            prop_assert!(total - kept.len() <= lost as usize);
            let bytes: usize = kept.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert!(bytes <= LABELS_BYTES);
        }
    }
}
