//! Files of another root: opened below it and nowhere else, whatever links there lead to, and read only if they are
//! regular files of bounded size: never a device, a pipe or a way out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// Whether a path may lead to another file system that is mounted below the root.
#[derive(Clone, Copy)]
pub(super) enum Mounts {
    Crossed,
    NotCrossed,
}

/// A file that was found and not yet opened: opening a device or a pipe has effects.
pub(super) struct Found {
    place: OwnedFd,
    state: FileStat,
}

/// A folder that is a root to [`find`].
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Finds a regular file by its path below the root.
pub(super) fn find(root: BorrowedFd<'_>, path: &str, mounts: Mounts) -> io::Result<Found> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(match mounts {
            Mounts::Crossed => resolve,
            Mounts::NotCrossed => resolve | ResolveFlag::RESOLVE_NO_XDEV,
        });
    let place = openat2(root, path, how)?;
    let state = fstat(&place)?;
    match SFlag::from_bits_truncate(state.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Ok(Found { place, state }),
        _ => Err(io::Error::other("it is no regular file")),
    }
}

impl Found {
    pub(super) fn modified(&self) -> SystemTime {
        let since_epoch = Duration::new(
            self.state.st_mtime.try_into().unwrap_or(0),
            self.state.st_mtime_nsec.try_into().unwrap_or(0),
        );
        SystemTime::UNIX_EPOCH + since_epoch
    }

    /// The whole text, unless it is longer than the limit.
    pub(super) fn read(&self, limit: u64) -> io::Result<String> {
        if u64::try_from(self.state.st_size).is_ok_and(|size| size > limit) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let file = open(
            format!("/proc/self/fd/{}", self.place.as_raw_fd()).as_str(),
            OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let mut bytes = Vec::new();
        File::from(file).take(limit).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
