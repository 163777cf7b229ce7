//! The form of `/etc/passwd` and `/etc/group`.

use std::collections::HashMap;
use std::sync::Arc;

/// The name of the user and the group that every system has.
pub(crate) const ROOT: &str = "root";

/// Names by the id of the user or group.
pub(super) type NamesById = HashMap<u32, Arc<str>>;

/// Lines have fields separated by colons: the name, a password, the id.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        Some((id.parse().ok()?, name))
    })
}

/// The first name of an id counts, as in the C library.
pub(super) fn parse(text: &str) -> NamesById {
    let mut names = NamesById::new();
    for (id, name) in entries(text) {
        names.entry(id).or_insert_with(|| name.into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_an_id_counts_and_other_lines_are_passed_over() {
        let names = parse("root:x:0:0:root:/root:/bin/sh\n\n#note\ntoor:x:0:0\nweb:x:33:33::\nbad:x:minus:1\n+::::\n");
        assert_eq!(names.len(), 2);
        assert_eq!(&*names[&0], "root");
        assert_eq!(&*names[&33], "web");
    }
}
