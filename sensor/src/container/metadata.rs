//! What an engine says about a container, cut to size.
//!
//! Names, labels and image references are chosen by whoever made the container or its image, so
//! every text here is bounded before it is kept; what was cut is reported to the caller, who
//! counts it. Nothing is escaped here: that is done where text is shown.

use crate::container::Runtime;

/// The longest name, image reference part, digest or user that is kept, in bytes.
const TEXT_BYTES: usize = 512;
/// The most labels of one container that are kept.
const LABELS_AT_MOST: usize = 64;
/// A label with a longer key is left out: a cut key could pass for another one.
const LABEL_KEY_BYTES: usize = 256;
/// Longer values are cut.
const LABEL_VALUE_BYTES: usize = 1024;
/// All keys and values of one container together.
const LABELS_BYTES: usize = 8 * 1024;

/// A container as its engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The engine that knows the container.
    pub runtime: Runtime,
    /// Without the slash that Docker puts before it.
    pub name: String,
    pub image: Image,
    /// Sorted by key.
    pub labels: Vec<(String, String)>,
    /// How many labels were left out or lost a part of their value.
    pub cut_labels: u64,
    /// `None` while only the creation event is known, which does not tell.
    pub privileged: Option<bool>,
    /// What the container was told to run as, where that was said: `name`, `uid` or either with
    /// `:group`.
    pub user: Option<String>,
    /// Nanoseconds since the epoch.
    pub started: Option<i64>,
}

/// An image reference in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub name: String,
    pub tag: Option<String>,
    /// `algorithm:value`: the image's id, and the digest it was asked for by.
    pub digests: Vec<String>,
}

impl Image {
    /// Splits `[registry[:port]/]name[:tag][@digest]`. A reference without tag and digest means
    /// the tag `latest`, unless it is an image id.
    pub fn from_reference(reference: &str) -> Image {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        let digests = digest.map(bounded).into_iter().collect();
        if is_image_id(rest) {
            return Image {
                name: bounded(rest),
                tag: None,
                digests,
            };
        }
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ if digest.is_none() => (rest, Some("latest")),
            _ => (rest, None),
        };
        Image {
            name: bounded(name),
            tag: tag.map(bounded),
            digests,
        }
    }

    pub fn add_digest(&mut self, digest: &str) {
        let digest = bounded(digest);
        if !digest.is_empty() && !self.digests.contains(&digest) {
            self.digests.push(digest);
        }
    }
}

/// At least the twelve digits that engines show, at most the whole.
fn is_image_id(reference: &str) -> bool {
    let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
    (12..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Cuts a text to [`TEXT_BYTES`].
pub(super) fn bounded(text: &str) -> String {
    cut(text, TEXT_BYTES).to_owned()
}

pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Sorts labels by key and keeps what fits the limits. The number tells how many labels were left
/// out or lost a part of their value.
pub(super) fn bounded_labels(labels: impl IntoIterator<Item = (String, String)>) -> (Vec<(String, String)>, u64) {
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

    fn check(reference: &str, name: &str, tag: Option<&str>, digests: &[&str]) {
        let image = Image::from_reference(reference);
        assert_eq!(image.name, name, "{reference}");
        assert_eq!(image.tag.as_deref(), tag, "{reference}");
        assert_eq!(image.digests, digests, "{reference}");
    }

    #[test]
    fn an_image_reference_falls_into_its_parts() {
        check("nginx", "nginx", Some("latest"), &[]);
        check("nginx:1.25", "nginx", Some("1.25"), &[]);
        check(
            "localhost:5000/team/app",
            "localhost:5000/team/app",
            Some("latest"),
            &[],
        );
        check("localhost:5000/team/app:2", "localhost:5000/team/app", Some("2"), &[]);
        check("app@sha256:ab", "app", None, &["sha256:ab"]);
        check("app:2@sha256:ab", "app", Some("2"), &["sha256:ab"]);
        check("host:1/app@sha256:ab", "host:1/app", None, &["sha256:ab"]);
        check("", "", Some("latest"), &[]);
    }

    #[test]
    fn an_image_id_has_no_tag() {
        check("6db70ade5db4", "6db70ade5db4", None, &[]);
        let id = format!("sha256:{}", "6d".repeat(32));
        check(&id, &id, None, &[]);
    }

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

        #[test]
        fn any_reference_is_accepted(reference in ".{0,600}") {
            let image = Image::from_reference(&reference);
            prop_assert!(image.name.len() <= TEXT_BYTES);
        }
    }
}
