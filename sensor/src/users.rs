//! Names of the host's users and groups, from `/etc/passwd` and `/etc/group`.
//!
//! The files are read again when they changed, which is looked at no more often than
//! [`CHECK_EVERY`]. Nothing of a container is read here: an id of a container's process has a name
//! only where every system agrees on it (0, root).

use std::{
    collections::HashMap,
    fs, io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// How often the files' times are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A larger file is not read: something is wrong with it.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// The host's users and groups.
pub struct Users {
    users: Names,
    groups: Names,
    checked: Instant,
}

impl Users {
    /// Reads the host's files; what cannot be read has no names.
    pub fn of_host() -> Self {
        Users {
            users: Names::read("/etc/passwd"),
            groups: Names::read("/etc/group"),
            checked: Instant::now(),
        }
    }

    /// Reads files again that changed; cheap to call often.
    pub fn refresh(&mut self) {
        if self.checked.elapsed() >= CHECK_EVERY {
            self.checked = Instant::now();
            self.users.refresh();
            self.groups.refresh();
        }
    }

    /// A user's name on the host.
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.by_id.get(&uid).map(String::as_str)
    }

    /// A group's name on the host.
    pub fn group(&self, gid: u32) -> Option<&str> {
        self.groups.by_id.get(&gid).map(String::as_str)
    }
}

struct Names {
    path: PathBuf,
    changed: Option<SystemTime>,
    by_id: HashMap<u32, String>,
}

impl Names {
    fn read(path: &str) -> Self {
        let mut names = Names {
            path: PathBuf::from(path),
            changed: None,
            by_id: HashMap::new(),
        };
        names.refresh();
        names
    }

    fn refresh(&mut self) {
        let Ok((changed, text)) = self.read_if_changed() else {
            return;
        };
        if let Some(text) = text {
            self.by_id = parse(&text);
        }
        self.changed = Some(changed);
    }

    fn read_if_changed(&self) -> io::Result<(SystemTime, Option<String>)> {
        let metadata = fs::metadata(&self.path)?;
        let changed = metadata.modified()?;
        if self.changed == Some(changed) || metadata.len() > FILE_LIMIT {
            return Ok((changed, None));
        }
        let bytes = fs::read(&self.path)?;
        Ok((changed, Some(String::from_utf8_lossy(&bytes).into_owned())))
    }
}

/// Both files have lines of fields with colons between them: the name, a password, the id. The
/// first name of an id counts, as in the C library.
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, id) = (fields.next(), fields.nth(1));
        if let (Some(name), Some(Ok(id))) = (name, id.map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
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
        assert_eq!(names[&0], "root");
        assert_eq!(names[&33], "web");
    }
}
