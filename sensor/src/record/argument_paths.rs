//! `tidewaiter.process.arguments_as_paths`: the paths that a process's arguments name, without the detours in them.
//!
//! Worked out of the arguments, the working directory and the root, for the event's own process and only where somebody
//! reads it. Links are not followed, so a path is what its text says. Time is linear in the arguments. Each of their bytes
//! is in at most three paths, six below another root; what directories add is bounded by [`DIRECTORY_BYTES`] beside that.

use std::borrow::Cow;

use super::plain_path::{append, is_plain};
use crate::process::Texts;

/// The longest path that the kernel takes, without its zero byte.
const PATH_BYTES: usize = 4095;
/// How many bytes the working directory and the root may add to the paths of one process, beside twice the bytes of the
/// arguments.
const DIRECTORY_BYTES: usize = 32 * 1024;

/// Gives each path to `emit`; returns whether that was all of them.
///
/// These are: an argument that is an absolute path, or a name without separators and spaces, which is taken from the
/// working directory, and from the one of a `-C` before it. A part of an argument behind a separator (quote, bracket or one
/// of `=,;:@<>|&`) that begins with `/`, the same in an option (`-T/etc/passwd`), and a name behind `=` or `@`. What a
/// `file:` URL names. Of a path below `/proc/PID/root` and `/proc/self/cwd` also what is meant by it. Where the process has
/// another root than its mount namespace, each path there too.
pub(super) fn each_path(arguments: &Texts, from: Viewpoint<'_>, emit: &mut dyn FnMut(&str)) -> bool {
    let mut plain_directory = String::new();
    append(&mut plain_directory, from.directory);
    let mut paths = Paths {
        directory: (!from.directory.is_empty()).then_some(&plain_directory),
        root: from.root,
        other_directory: None,
        left: DIRECTORY_BYTES + 2 * arguments.byte_length(),
        is_complete: true,
        buffer: String::new(),
        emit,
    };
    let mut is_directory = false;
    for argument in arguments.iter().skip(1) {
        if is_directory && !argument.starts_with('-') {
            paths.other_directory = paths.absolute(argument);
        }
        is_directory = names_directory(argument);
        paths.argument(argument);
    }
    paths.is_complete
}

/// From where a process sees paths.
#[derive(Clone, Copy)]
pub(super) struct Viewpoint<'a> {
    /// Its working directory, for relative ones.
    pub(super) directory: &'a str,
    /// Its root in that of its mount namespace; empty if it has that one.
    pub(super) root: &'a str,
}

/// Whether the argument after this option is the directory that further ones are relative to, as `tar`, `git` and others
/// have it.
fn names_directory(option: &str) -> bool {
    match option.strip_prefix("--") {
        Some(long) => long == "directory",
        None => option.starts_with('-') && option.ends_with('C'),
    }
}

/// What stands between parts of an argument.
const SEPARATORS: &[u8] = b"'\"`=,;:@<>|&(){}[]\n";

/// What a byte says of the argument that it is in.
const SEPARATES: u8 = 1;
const IS_SPACE: u8 = 2;
/// Looked up, because there are many separators and every byte of an argument is asked.
const MEANINGS: [u8; 256] = {
    let mut meanings = [0; 256];
    let mut index = 0;
    while index < SEPARATORS.len() {
        meanings[SEPARATORS[index] as usize] = SEPARATES;
        index += 1;
    }
    meanings[b' ' as usize] = IS_SPACE;
    meanings
};

fn meanings(argument: &str) -> u8 {
    let meaning = |byte: &u8| MEANINGS[usize::from(*byte)];
    argument.as_bytes().iter().fold(0, |all, byte| all | meaning(byte))
}

fn is_separator(character: char) -> bool {
    u8::try_from(character).is_ok_and(|byte| MEANINGS[usize::from(byte)] == SEPARATES)
}

struct Paths<'a> {
    /// Without detours, where the root is empty, as the other one.
    directory: Option<&'a str>,
    root: &'a str,
    other_directory: Option<String>,
    /// How many bytes directories may still add.
    left: usize,
    is_complete: bool,
    buffer: String,
    emit: &'a mut dyn FnMut(&str),
}

impl Paths<'_> {
    fn argument(&mut self, argument: &str) {
        let meanings = meanings(argument);
        let has_parts = meanings & SEPARATES != 0;
        let is_name = meanings == 0;
        if argument.starts_with('/') {
            self.path(argument);
        } else if !argument.is_empty() && !argument.starts_with('-') && (is_name || argument.contains("/../")) {
            self.relative(argument);
        }
        if has_parts || argument.starts_with('-') {
            self.parts(argument);
        }
    }

    fn parts(&mut self, argument: &str) {
        let is_option = argument.starts_with('-');
        let (mut before, mut start, mut is_value) = ("", 0, false);
        for between in argument.split(is_separator) {
            let part = between.trim_matches(' ');
            let separator = argument[..start].chars().next_back();
            is_value = match separator {
                Some('=') => true,
                // Not in `user@host`.
                Some('@') => is_value || before.is_empty() || before.starts_with('-'),
                Some('<') => is_value,
                _ => false,
            };
            let is_address = separator == Some(':') && part.starts_with("//");
            if is_address {
                if before.eq_ignore_ascii_case("file") {
                    self.file_url(&part[2..]);
                }
            } else if part.starts_with('/') {
                // The whole argument is one already.
                if start > 0 {
                    self.path(part);
                }
            } else if start == 0 && is_option {
                if let Some(slash) = part.find('/') {
                    self.path(&part[slash..]);
                }
            } else if is_value && !part.is_empty() && !part.starts_with('-') {
                self.relative(part);
            }
            if !part.is_empty() {
                before = part;
            }
            start += between.len() + 1;
        }
    }

    /// What follows `file://`: a host, and the path with each byte spelt out or as `%` and its number.
    fn file_url(&mut self, after: &str) {
        if let Some(slash) = after.find('/') {
            self.path(&decoded(&after[slash..]));
        }
    }

    fn relative(&mut self, name: &str) {
        if let Some(directory) = self.directory {
            self.joined(directory, name);
        }
        if let Some(other) = self.other_directory.take() {
            self.joined(&other, name);
            self.other_directory = Some(other);
        }
    }

    fn joined(&mut self, directory: &str, name: &str) {
        if name.len() > PATH_BYTES {
            return;
        }
        let Some(left) = self.left.checked_sub(directory.len() + 1) else {
            self.is_complete = false;
            return;
        };
        self.left = left;
        let mut path = std::mem::take(&mut self.buffer);
        path.clear();
        path.push_str(directory);
        append(&mut path, name);
        self.finished(&path);
        self.buffer = path;
    }

    /// An absolute path that is told as it is, or the directory that a relative one means.
    fn absolute(&self, path: &str) -> Option<String> {
        let mut absolute = match path.starts_with('/') {
            true => String::new(),
            false => self.directory.unwrap_or_default().to_owned(),
        };
        append(&mut absolute, path);
        (absolute.len() <= PATH_BYTES).then_some(absolute)
    }

    fn path(&mut self, path: &str) {
        if path.len() > PATH_BYTES {
            return;
        }
        if is_plain(path) {
            return self.finished(path);
        }
        let mut plain = std::mem::take(&mut self.buffer);
        plain.clear();
        append(&mut plain, path);
        self.finished(&plain);
        self.buffer = plain;
    }

    /// Tells a path without detours, and what it means by the way of `/proc`.
    fn finished(&mut self, path: &str) {
        let path = if path.is_empty() { "/" } else { path };
        (self.emit)(path);
        if !self.root.is_empty() {
            match self.left.checked_sub(self.root.len()) {
                Some(left) => {
                    self.left = left;
                    (self.emit)(&[self.root, path].concat());
                }
                None => self.is_complete = false,
            }
        }
        let mut rest = path;
        let mut meant = None;
        while let Some((link, after)) = behind_link(rest) {
            (rest, meant) = (after, Some(link));
        }
        let directory = self.directory.unwrap_or_default();
        match meant {
            Some(Link::Root) => (self.emit)(if rest.is_empty() { "/" } else { rest }),
            Some(Link::Directory) => match self.left.checked_sub(directory.len() + 1) {
                Some(left) => {
                    self.left = left;
                    let path = [directory, rest].concat();
                    (self.emit)(if path.is_empty() { "/" } else { &path });
                }
                None => self.is_complete = false,
            },
            None => {}
        }
    }
}

/// What a link of a process's folder in `/proc` leads to.
#[derive(Clone, Copy)]
enum Link {
    Root,
    Directory,
}

/// Which link of `/proc` a path goes through, and what follows.
fn behind_link(path: &str) -> Option<(Link, &str)> {
    let (process, mut rest) = component(path.strip_prefix("/proc")?)?;
    let is_own = matches!(process, "self" | "thread-self");
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_own && !is_number(process) {
        return None;
    }
    let (mut name, after) = component(rest)?;
    rest = after;
    if name == "task" {
        let (_, after) = component(rest)?;
        (name, rest) = component(after)?;
    }
    match name {
        "root" => Some((Link::Root, rest)),
        "cwd" if is_own => Some((Link::Directory, rest)),
        _ => None,
    }
}

/// The first component of a path without detours, and the rest.
fn component(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    Some(path.split_at(path.find('/').unwrap_or(path.len())))
}

/// The text with `%41` read as `A`, as far as it is ASCII.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(u8::is_ascii) {
            Some(byte) => {
                decoded.push(char::from(byte));
                decoded.push_str(&part[2..]);
            }
            None => {
                decoded.push('%');
                decoded.push_str(part);
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths_in(directory: &str, arguments: &[&str]) -> (Vec<String>, bool) {
        paths_from(Viewpoint { directory, root: "" }, arguments)
    }

    fn paths_from(from: Viewpoint<'_>, arguments: &[&str]) -> (Vec<String>, bool) {
        let all = std::iter::once("program").chain(arguments.iter().copied());
        let arguments = Texts::from_texts(all);
        let mut paths = Vec::new();
        let is_complete = each_path(&arguments, from, &mut |path| paths.push(path.to_owned()));
        (paths, is_complete)
    }

    #[track_caller]
    fn check(directory: &str, arguments: &[&str], expected: &[&str]) {
        assert_eq!(paths_in(directory, arguments).0, expected, "{arguments:?}");
    }

    #[test]
    fn a_path_is_told_without_its_detours() {
        for path in [
            "/etc/shadow",
            "/etc/./shadow",
            "//etc///shadow",
            "/dev/../etc/shadow/",
            "/../etc/x/../shadow/.",
        ] {
            check("/", &[path], &["/etc/shadow"]);
        }
        check("/", &["/", "/..", "//."], &["/", "/", "/"]);
    }

    #[test]
    fn a_name_is_taken_from_the_working_directory_and_from_that_of_an_option() {
        check("/etc", &["shadow", "./shadow", "../etc/shadow"], &["/etc/shadow"; 3]);
        check(
            "/var/tmp",
            &["../../etc/shadow", "a b/../../../etc/shadow"],
            &["/etc/shadow"; 2],
        );
        check("/", &["shadow"], &["/shadow"]);
        check("", &["shadow"], &[]);
        check(
            "/",
            &["-cC", "/etc/x/..", "shadow"],
            &["/etc", "/shadow", "/etc/shadow"],
        );
        check(
            "/etc",
            &["-C", "3", "shadow"],
            &["/etc/3", "/etc/3/3", "/etc/shadow", "/etc/3/shadow"],
        );
    }

    #[test]
    fn parts_of_an_argument_are_paths_behind_a_separator() {
        for argument in [
            "--file=/etc/./shadow",
            "if=/etc//shadow",
            "@/etc/shadow",
            "-T/etc/shadow",
            "-d@/etc/x/../shadow",
            "f=@/etc/shadow",
            "file:///etc/shadow",
            "FILE://localhost/etc/sh%61dow",
            "file:/etc/shadow",
            "host:/etc/shadow",
            "cat${IFS}/etc/shadow",
            "open('/etc/shadow')",
            "wc < /etc/shadow ; true",
        ] {
            check("/root", &[argument], &["/etc/shadow"]);
        }
        check("/", &["/data:/etc/./x:ro"], &["/data:/etc/x:ro", "/etc/x"]);
        check(
            "/etc",
            &["if=shadow", "f=@shadow", "@shadow", "-d@shadow"],
            &["/etc/shadow"; 4],
        );
        check(
            "/etc",
            &["me@shadow", "https://host/etc/shadow", "-x", "", "say shadow"],
            &[],
        );
    }

    #[test]
    fn links_of_proc_are_seen_through() {
        check(
            "/",
            &["/proc/1/root/etc/./shadow"],
            &["/proc/1/root/etc/shadow", "/etc/shadow"],
        );
        check(
            "/",
            &["/proc/self/root/proc/self/task/7/root"],
            &["/proc/self/root/proc/self/task/7/root", "/"],
        );
        check(
            "/etc",
            &["/proc/self/cwd/shadow"],
            &["/proc/self/cwd/shadow", "/etc/shadow"],
        );
        check(
            "/etc",
            &["/proc/1/environ", "/process"],
            &["/proc/1/environ", "/process"],
        );
    }

    #[test]
    fn below_another_root_paths_are_told_there_too() {
        let from = Viewpoint {
            directory: "/etc",
            root: "/host",
        };
        let (paths, is_complete) = paths_from(from, &["/root/./x", "shadow"]);
        assert_eq!(paths, ["/root/x", "/host/root/x", "/etc/shadow", "/host/etc/shadow"]);
        assert!(is_complete);
        let root = "/d".repeat(2000);
        let (paths, is_complete) = paths_from(Viewpoint { root: &root, ..from }, &["/x"; 10_000]);
        assert!(!is_complete && paths.iter().map(String::len).sum::<usize>() < 200_000);
    }

    #[test]
    fn long_directories_do_not_multiply_and_what_is_left_out_is_told() {
        let directory = "/d".repeat(2000);
        let arguments = vec!["x"; 10_000];
        let (paths, is_complete) = paths_in(&directory, &[arguments.as_slice(), &["/etc/shadow"]].concat());
        assert!(!is_complete);
        assert!(paths.iter().map(String::len).sum::<usize>() < 200_000);
        assert_eq!(paths.last().map(String::as_str), Some("/etc/shadow"));
        assert!(paths_in("/etc", &arguments).1);
    }

    fn piece() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "/", ".", "..", "a", "é", "-", "C", "=", "@", ":", "file:", "//", "%", "%4", "%41", "proc", "self", "root",
            "cwd", " ",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn paths_are_absolute_without_detours_and_no_more_than_the_arguments_allow(
            arguments in prop::collection::vec(prop::collection::vec(piece(), 0..12), 0..8),
            directory in prop::collection::vec(piece(), 0..6),
        ) {
            let arguments: Vec<String> = arguments.iter().map(|pieces| pieces.concat()).collect();
            let mut cwd = String::new();
            append(&mut cwd, &directory.concat());
            let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (paths, _) = paths_in(&cwd, &borrowed);
            for path in &paths {
                prop_assert!(path == "/" || is_plain(path), "{path:?} of {arguments:?}");
            }
            let bytes: usize = arguments.iter().map(|text| text.len() + 1).sum();
            let told: usize = paths.iter().map(String::len).sum();
            prop_assert!(told <= 5 * (bytes + 8) + DIRECTORY_BYTES);
        }

        #[test]
        fn an_absolute_path_is_what_following_each_of_its_names_gives(
            names in prop::collection::vec(prop::sample::select(vec!["", ".", "..", "a", "bc"]), 1..10),
        ) {
            let path = format!("/{}", names.join("/"));
            let mut followed = Vec::new();
            for name in names {
                match name {
                    "" | "." => {}
                    ".." => { followed.pop(); }
                    name => followed.push(name),
                }
            }
            prop_assert_eq!(paths_in("/elsewhere", &[&path]).0, [format!("/{}", followed.join("/"))]);
        }
    }
}
