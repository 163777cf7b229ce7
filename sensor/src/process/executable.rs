//! The file that a process runs, identified by the kernel and not by its name.

use sensor_abi::{
    FLAG_EXECUTABLE_DELETED, FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_UPPER, FileIdentity, OVERLAY_MAGIC,
};

use super::origin::Origin;
use crate::decode::Exec;

/// How the kernel names a file that is in no directory.
const MEMORY_FILE: &str = "memfd:";

/// `FUSE_SUPER_MAGIC`, of file systems that are programs.
const FUSE: u32 = 0x6573_5546;

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
/// Without it, the set-group-ID bit means something else.
const GROUP_EXECUTE: u32 = 0o0010;

/// An executed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutableFile {
    pub identity: FileIdentity,
    /// Whether it exists in memory only and never was in a directory.
    pub in_memory: bool,
    /// Whether it has been removed from its directory.
    pub deleted: bool,
    /// On an overlay file system: whether it was written or changed since that was mounted. If so, in a container, it is
    /// not from the image.
    pub upper_layer: Option<bool>,
    /// Of a container's process, if it can be told.
    pub(crate) origin: Option<Origin>,
}

impl ExecutableFile {
    /// The file of an exec.
    pub fn from_exec(exec: &Exec) -> Self {
        let flags = exec.fixed.head.flags;
        let is_detached = flags & FLAG_EXECUTABLE_DETACHED != 0;
        let is_upper = flags & FLAG_EXECUTABLE_UPPER != 0;
        let is_overlay = exec.fixed.file.file_system == OVERLAY_MAGIC;
        ExecutableFile {
            upper_layer: is_overlay.then_some(is_upper),
            ..Self::from_proc(
                exec.fixed.file,
                is_detached && exec.executable.starts_with(MEMORY_FILE),
                flags & FLAG_EXECUTABLE_DELETED != 0,
            )
        }
    }

    /// The file of a process that was running before the sensor; its layer is unknown.
    pub fn from_proc(identity: FileIdentity, in_memory: bool, unlinked: bool) -> Self {
        ExecutableFile {
            identity,
            in_memory,
            deleted: !in_memory && (unlinked || identity.links == 0),
            upper_layer: None,
            origin: None,
        }
    }

    /// Whether it runs with its owner's rights.
    pub fn sets_user_id(&self) -> bool {
        self.identity.mode & SET_USER_ID != 0
    }

    /// Whether it runs with its group's rights.
    pub fn sets_group_id(&self) -> bool {
        self.identity.mode & (SET_GROUP_ID | GROUP_EXECUTE) == SET_GROUP_ID | GROUP_EXECUTE
    }

    /// Whether the kernel alone says which file it is, and when that was changed.
    pub(crate) fn is_attested(&self) -> bool {
        ![0, FUSE].contains(&self.identity.file_system) && self.identity.changed_ns != 0
    }

    /// The permission bits as `chmod` takes them: `file.mode`.
    pub fn permissions(&self) -> String {
        format!("{:04o}", self.identity.mode & 0o7777)
    }
}
