//! Programs as processes run them, and how much of one is kept.
//!
//! A process shares its image with those that it forks, so that what is given up of it is given up for all of them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::arguments::{KEPT_END_BYTES, ProcessArguments};
use super::boxes::Header;
use super::budget::{Charge, allocation};
use super::executable::ExecutableFile;
use super::names::{applet, loaded_program};
use super::texts::Texts;
use crate::decode::{LeftOut, PathsLeftOut, Shortened};

/// How much is kept of the beginning and of the end of a path whose middle is given up.
const KEPT_PATH_BEGIN_BYTES: usize = 256;
const KEPT_PATH_END_BYTES: usize = 512;
/// Stands for the middle.
const LEFT_OUT: &str = "...";

/// A program as a process runs it; shared with the processes it forked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// `process.executable`, see [`crate::decode::Exec::executable`].
    pub executable: Box<str>,
    /// The path that the kernel was given: a symlink, a relative path, a script. Empty for a process
    /// that was running before the sensor.
    pub requested_path: Box<str>,
    /// Whether that is a script, which `executable` interprets.
    pub is_script: bool,
    pub file: Option<ExecutableFile>,
    /// Capabilities that come from the file.
    pub file_capabilities: u64,
    /// `process.name`, see [`super::names::Names`].
    pub name: Box<str>,
    /// Its other name; empty if it has none.
    pub other_name: Box<str>,
    /// Whether `executable` is a multi-call program, as far as is known.
    pub is_box: bool,
    /// By what it will be known whether it is, if nobody has looked yet.
    pub(crate) unread: Option<Header>,
    pub arguments: ProcessArguments,
    /// Variables of the environment that events may contain.
    pub environment: Texts,
    /// Whether the whole environment was searched; `None` if it is not read.
    pub environment_complete: Option<bool>,
    pub working_directory: Box<str>,
    /// See [`crate::decode::Exec::root`].
    pub root: Box<str>,
    /// See [`crate::decode::Exec::is_in_root`].
    pub is_in_root: bool,
    /// Of the paths as the event told them. Empty for a process that was running before the sensor.
    pub left_out: PathsLeftOut,
    /// Why the event told less than usual.
    pub shortened: Option<Shortened>,
    pub(super) kept: Kept,
}

/// How much of an image is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    /// What runs, and of what it was started with only the size.
    Bare,
    /// Both ends of everything long.
    Ends,
    #[default]
    Whole,
}

impl Image {
    /// `process.args`.
    pub fn args(&self) -> &Texts {
        &self.arguments.texts
    }

    /// The script that is interpreted, as it was given to the kernel.
    pub fn script(&self) -> Option<&str> {
        (self.is_script && !self.requested_path.is_empty()).then_some(&self.requested_path)
    }

    /// The applet as which a multi-call program runs.
    pub fn applet(&self) -> Option<&str> {
        let applet = || applet(self.args().iter()).filter(|applet| !applet.is_empty());
        self.is_box.then(applet).flatten()
    }

    /// `executable` in the root of the mount namespace, where the process has another root.
    pub fn path_in_container(&self) -> Option<String> {
        (self.is_in_root && !self.root.is_empty()).then(|| [&*self.root, &*self.executable].concat())
    }

    /// What a dynamic loader that was started as a program was told to load.
    pub fn loaded(&self) -> Option<&str> {
        match self.is_script {
            true => None,
            false => loaded_program(&self.executable, self.args().iter()),
        }
    }

    /// The image with no more than this.
    fn reduced(&self, kept: Kept) -> Self {
        let only_if = |is_kept: bool, path: &str| if is_kept { ends(path) } else { Box::default() };
        let is_bare = kept == Kept::Bare;
        let environment = match is_bare {
            true => 0,
            false => self.environment.first_fitting(KEPT_END_BYTES),
        };
        Image {
            executable: ends(&self.executable),
            requested_path: only_if(!is_bare, &self.requested_path),
            name: ends(&self.name),
            other_name: ends(&self.other_name),
            arguments: match is_bare {
                true => self.arguments.without_texts(),
                false if self.arguments.has_middle() => self.arguments.without_middle(),
                false => self.arguments.clone(),
            },
            environment_complete: self
                .environment_complete
                .map(|is_complete| is_complete && environment == self.environment.len()),
            environment: Texts::from_texts(self.environment.iter().take(environment)),
            working_directory: only_if(!is_bare, &self.working_directory),
            root: ends(&self.root),
            left_out: PathsLeftOut {
                executable: left_out(&self.executable).max(self.left_out.executable),
                working_directory: left_out(&self.working_directory).max(self.left_out.working_directory),
                root: left_out(&self.root).max(self.left_out.root),
                ..self.left_out
            },
            kept,
            ..*self
        }
    }

    /// Whether giving up the middles would leave less.
    fn has_middles(&self) -> bool {
        let paths = [
            &self.executable,
            &self.requested_path,
            &self.name,
            &self.other_name,
            &self.working_directory,
            &self.root,
        ];
        self.arguments.has_middle()
            || self.environment.byte_length() > KEPT_END_BYTES
            || paths.iter().any(|path| path.len() > kept_of_path())
    }

    /// Bytes of memory that it takes.
    fn allocated(&self) -> usize {
        let texts = [
            self.executable.len(),
            self.requested_path.len(),
            self.name.len(),
            self.other_name.len(),
            self.working_directory.len(),
            self.root.len(),
            self.args().byte_length(),
            self.environment.byte_length(),
        ];
        texts.into_iter().map(allocation).sum()
    }
}

const fn kept_of_path() -> usize {
    KEPT_PATH_BEGIN_BYTES + LEFT_OUT.len() + KEPT_PATH_END_BYTES
}

/// What [`ends`] leaves out of a path.
fn left_out(path: &str) -> LeftOut {
    match path.len() <= kept_of_path() {
        true => LeftOut::Nothing,
        false => LeftOut::Middle,
    }
}

/// Beginning and end of a path that is too long.
fn ends(path: &str) -> Box<str> {
    if path.len() <= kept_of_path() {
        return path.into();
    }
    let begin = &path[..path.floor_char_boundary(KEPT_PATH_BEGIN_BYTES)];
    let end = &path[path.ceil_char_boundary(path.len() - KEPT_PATH_END_BYTES)..];
    [begin, LEFT_OUT, end].concat().into()
}

/// An image, in the hands of every process that runs it, with what it takes of the budget.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedImage(Arc<RwLock<Charged>>);

#[derive(Debug, Default)]
struct Charged {
    image: Image,
    /// None is taken for an image that no table holds.
    charge: Option<Charge>,
    /// Bytes that live as long as the image does, beside its own.
    beside: usize,
}

/// Read access to an image.
pub struct ImageRef<'a>(RwLockReadGuard<'a, Charged>);

impl std::ops::Deref for ImageRef<'_> {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.0.image
    }
}

impl SharedImage {
    /// An image with so many bytes beside it.
    pub(super) fn new(image: Image, beside: usize) -> Self {
        SharedImage(Arc::new(RwLock::new(Charged {
            image,
            charge: None,
            beside,
        })))
    }

    pub(super) fn read(&self) -> ImageRef<'_> {
        ImageRef(self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has what it takes counted, unless it is already.
    pub(super) fn charge(&self, charge: impl FnOnce(usize) -> Option<Charge>) {
        if self.read().0.charge.is_none() {
            let mut charged = self.0.write().unwrap_or_else(PoisonError::into_inner);
            charged.charge = charge(charged.allocated());
        }
    }

    /// Keeps no more than this of it, for all that share it.
    pub(super) fn reduce(&self, kept: Kept) {
        let mut charged = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept < charged.image.kept {
            charged.image = charged.image.reduced(kept);
            let allocated = charged.allocated();
            if let Some(charge) = &mut charged.charge {
                charge.set(allocated);
            }
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn has_middles(&self) -> bool {
        let image = self.read();
        image.kept == Kept::Whole && image.has_middles()
    }

    pub(super) fn is_bare(&self) -> bool {
        self.read().kept == Kept::Bare
    }
}

impl Charged {
    fn allocated(&self) -> usize {
        let counts_of_arc = 2 * size_of::<usize>();
        allocation(size_of::<RwLock<Charged>>() + counts_of_arc) + self.beside + self.image.allocated()
    }
}

impl PartialEq for SharedImage {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.read() == *other.read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_an_image_still_says_what_runs_and_that_something_is_missing() {
        let long = format!("/{}/tool", "é".repeat(2000));
        let shared = SharedImage::new(
            Image {
                executable: long.clone().into(),
                requested_path: long.clone().into(),
                name: "tool".into(),
                working_directory: "/tmp".into(),
                environment: Texts::from_texts(["A=1", long.as_str()].into_iter()),
                environment_complete: Some(true),
                ..Image::default()
            },
            0,
        );
        let fork = shared.clone();
        assert!(shared.has_middles());
        shared.reduce(Kept::Ends);
        assert!(!shared.has_middles());
        {
            let image = fork.read();
            for path in [&image.executable, &image.requested_path] {
                assert!(path.starts_with("/é") && path.contains("é...é") && path.ends_with("/tool"));
                assert!(path.len() <= kept_of_path());
            }
            assert_eq!(&*image.working_directory, "/tmp");
            assert_eq!(image.environment.iter().collect::<Vec<_>>(), ["A=1"]);
            assert_eq!(image.environment_complete, Some(false));
        }
        shared.reduce(Kept::Bare);
        shared.reduce(Kept::Ends);
        let image = fork.read();
        assert_eq!(&*image.name, "tool");
        assert!(image.executable.ends_with("/tool"));
        assert!(image.requested_path.is_empty() && image.working_directory.is_empty() && image.environment.is_empty());
        assert_eq!(image.kept, Kept::Bare);
    }
}
