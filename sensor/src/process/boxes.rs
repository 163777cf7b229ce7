//! Which programs are multi-call programs, by their content and not by what they are called.
//!
//! The kernel side tells of each exec what copies of one program have in common ([`Header`]). Whether a program with it
//! is a box is found out once, by a thread that may wait for a file system, and holds for each copy, link and later exec.
//! Until then a program that is called like a box counts as one, and no other does.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::names::is_named_as_box;

/// Where a program begins, and where the tables of its segments and of its sections are in its file: three numbers of
/// its ELF header. Zeros of what has none.
pub(crate) type Header = [u64; 3];

/// How many programs are known at most; then all are found out anew.
const KNOWN_AT_MOST: usize = 4096;

/// What has been found out, in the hands of who asks and of who finds out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boxes(Arc<RwLock<HashMap<Header, bool>>>);

/// What is known of a program that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub is_box: bool,
    /// By what it is known, if that has yet to be found out.
    pub unread: Option<Header>,
}

impl Boxes {
    /// Notes what a program is.
    pub(crate) fn learn(&self, header: Header, is_box: bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_AT_MOST {
            known.clear();
        }
        known.insert(header, is_box);
    }

    /// Looks up the program of a file of this name, which was asked for as `asked` and is called `called`. Of most it
    /// does not matter: a box does what it is called, so what is called as it was asked for has that name anyway.
    pub(super) fn look_up(&self, header: Header, file: &str, asked: &str, called: &str) -> Known {
        let is_named = is_named_as_box(file);
        if !is_named && !is_named_as_box(called) && called == asked {
            return Known {
                is_box: false,
                unread: None,
            };
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&header) {
            Some(is_box) => Known {
                is_box: *is_box,
                unread: None,
            },
            None => Known {
                is_box: is_named,
                unread: (header != Header::default()).then_some(header),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Header = [1, 64, 1000];
    const OTHER: Header = [2, 64, 2000];

    #[test]
    fn a_name_counts_until_the_content_is_known_and_then_the_content() {
        let boxes = Boxes::default();
        let looked_up = |header, file, asked, called| {
            let known = boxes.look_up(header, file, asked, called);
            (known.is_box, known.unread)
        };
        assert_eq!(looked_up(BOX, "busybox", "sh", "sh"), (true, Some(BOX)));
        assert_eq!(looked_up(BOX, "x", "x", "nc"), (false, Some(BOX)));
        assert_eq!(looked_up(BOX, "x", "x", "x"), (false, None));
        assert_eq!(looked_up([0; 3], "x", "x", "nc"), (false, None));
        boxes.learn(BOX, true);
        boxes.learn(OTHER, false);
        for (header, expected) in [(BOX, true), (OTHER, false)] {
            for (file, asked, called) in [
                ("busybox", "sh", "sh"),
                ("x", "x", "nc"),
                ("x", "x", "busybox"),
                ("x", "y", "x"),
            ] {
                assert_eq!(
                    looked_up(header, file, asked, called),
                    (expected, None),
                    "{file} {asked} {called}"
                );
            }
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let boxes = Boxes::default();
        for number in 0..3 * KNOWN_AT_MOST as u64 {
            boxes.learn([number, 0, 0], true);
        }
        assert!(boxes.0.read().unwrap().len() <= KNOWN_AT_MOST);
    }
}
