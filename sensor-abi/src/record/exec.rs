//! The record of an exec, and the records that continue it with further arguments and the environment.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::head::RecordHead;
use super::process::{Descriptor, Namespaces, ProcessFixed};
#[cfg(doc)]
use crate::RecordKind;

/// The most bytes that one record carries after its fixed part. Five paths, the longest with both of their ends, fit
/// before the arguments; longer arguments continue in [`ArgumentsFixed`] records.
pub const VARIABLE_LIMIT: usize = 48 * 1024;

/// The most argument bytes that an exec's own record carries.
pub const ARGUMENTS_CHUNK: usize = 16 * 1024;

/// The most bytes that a record carries which continues it. A per-CPU map's value, in which it is made, ends at 32 KiB.
pub const FURTHER_CHUNK: usize = 28 * 1024;

/// The longest path that is told whole, as the kernel has it (`PATH_MAX`). Of a longer one this much of its innermost
/// part is told, and [`OUTERMOST_COMPONENTS`].
pub const PATH_LIMIT: usize = 4096;

/// How many components of the outermost part of a longer path are told.
pub const OUTERMOST_COMPONENTS: usize = 8;

/// The longest path of an exec that is sent short, which also applies to the path that the kernel was given.
pub const SHORT_PATH: usize = 512;
/// The most argument bytes of an exec that is sent short.
pub const SHORT_ARGUMENTS: usize = 1024;

/// Runs of the program that finishes the walks of deep paths. What a walk has not reached by then is left out.
pub const PATH_TAIL_CALLS: usize = 12;
/// Steps of each such run.
pub const STEPS_PER_TAIL_CALL: usize = 512;

/// The most supplementary groups that an exec's record carries.
pub const GROUPS_LIMIT: usize = 64;

/// The most argument bytes that are sent for one exec: a first chunk, and [`CHUNKS_PER_TAIL_CALL`] in each of the 33 tail
/// calls that the kernel allows, less those that deep paths may need and two for the environment. The kernel takes
/// 2 MiB of arguments where the stack's limit is the usual one of 8 MiB.
pub const ARGUMENTS_LIMIT: usize = ARGUMENTS_CHUNK + FURTHER_CHUNK * CHUNKS_PER_TAIL_CALL * (33 - PATH_TAIL_CALLS - 2);

/// How many of the bytes kept of arguments longer than `limit` are taken from their end.
pub const fn arguments_tail(limit: u32) -> u32 {
    limit / 4
}

/// The most bytes of an environment that are sent, where it is sent at all.
pub const ENVIRONMENT_LIMIT: usize = 4 * ARGUMENTS_CHUNK;

/// Argument chunks that one run of the continuation program sends.
pub const CHUNKS_PER_TAIL_CALL: usize = 4;

const _: () = assert!(ARGUMENTS_LIMIT >= 2 * 1024 * 1024);

/// [`FileIdentity::file_system`] of an overlay file system.
pub const OVERLAY_MAGIC: u32 = 0x794c_7630;

/// The arguments continue in a [`RecordKind::Arguments`] record from the same processor.
pub const FLAG_ARGUMENTS_CONTINUE: u16 = 1 << 0;
/// The arguments are longer than the limit that was set at load, and than what their owner may send now beyond it: what is
/// left out lies before the last [`arguments_tail`] bytes of them. Of an environment, its end is left out.
pub const FLAG_ARGUMENTS_CUT: u16 = 1 << 1;
/// The arguments could not be read from the process's memory.
pub const FLAG_ARGUMENTS_UNREADABLE: u16 = 1 << 2;
/// The record was sent short because its owner was over its share of the ring buffer; the arguments end early, unless
/// `arguments_length` is `arguments_total`.
pub const FLAG_SHORT_OVER_SHARE: u16 = 1 << 3;
/// The kernel was given a script (or another interpreted format) and runs its interpreter.
pub const FLAG_SCRIPT: u16 = 1 << 4;
/// The executable has no place in any directory tree: a memory file, or one on a mount that hangs
/// nowhere. Its only component is its name.
pub const FLAG_EXECUTABLE_DETACHED: u16 = 1 << 5;
/// The executable's directory entry is gone.
pub const FLAG_EXECUTABLE_DELETED: u16 = 1 << 6;
/// The cgroup path is that of a v1 hierarchy, because the process is at the root of the v2 tree.
pub const FLAG_CGROUP_V1: u16 = 1 << 7;
/// The executable is on an overlay file system, in its upper layer: written or changed since that
/// was mounted, so not what a container's image holds.
pub const FLAG_EXECUTABLE_UPPER: u16 = 1 << 8;
/// [`RecordKind::Environment`] records from the same processor follow.
pub const FLAG_ENVIRONMENT_FOLLOWS: u16 = 1 << 9;
/// As [`FLAG_SHORT_OVER_SHARE`], but because the ring buffer was filling up.
pub const FLAG_SHORT_FILLING: u16 = 1 << 10;
/// The executable lies outside of the process's root, so its path is the one in the root of the mount namespace.
pub const FLAG_EXECUTABLE_OUTSIDE_ROOT: u16 = 1 << 11;

/// The executed file, independent of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileIdentity {
    pub inode: u64,
    /// The file system's `dev_t`, as in [`ProcessFixed::terminal`].
    pub device: u32,
    /// The file system's kind: the low half of its magic number.
    pub file_system: u32,
    /// `st_mode`.
    pub mode: u32,
    /// Owner and group, in the host's user namespace.
    pub uid: u32,
    pub gid: u32,
    /// Directory entries that name the file.
    pub links: u32,
    /// When it, or what is said of it here, was changed last, nanoseconds since the epoch (`st_ctime`); 0 if unknown.
    pub changed_ns: i64,
}

/// Where [`ExecFixed::header`] is in the file.
pub const HEADER_AT: usize = 24;

/// The fixed part of [`RecordKind::Exec`]. Behind it, without gaps: `executable_length` bytes of the
/// executable's path, `directory_length` of the working directory's, `root_length` of the path of the process's root,
/// `cgroup_length` of the cgroup's, `filename_length` of the path as it was given to the kernel, `groups_length` of
/// supplementary group ids of four bytes each, what is further out of the cgroup's path, the executable's, the working
/// directory's and the root's (`*_rest_length`), and `arguments_length` of the arguments, each ended by a zero byte.
///
/// The paths of the executable and of the working directory begin at the process's root, that of the root at the root of
/// its mount namespace; the root's has no component where these are the same.
///
/// A path is its components, last one first, each ended by a zero byte, and its rest continues it. An empty component
/// stands for what is left out: with others behind it for a part of the middle, or for the end of the name before it, which
/// is longer than 255 bytes; else for the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExecFixed {
    pub head: RecordHead,
    pub process: ProcessFixed,
    pub descriptors: [Descriptor; 3],
    pub namespaces: Namespaces,
    pub executable_length: u32,
    /// The inode number of the mount namespace that the executable's mount belongs to, which need not be the process's;
    /// 0 if unknown, or if it hangs nowhere.
    pub executable_namespace: u32,
    /// The file system of the process's root, as in [`FileIdentity::device`].
    pub root_device: u32,
    /// The inode number of the process's root.
    pub root_inode: u64,
    /// By what the process's cgroup is known where shares of the ring buffer are counted.
    pub cgroup_key: u64,
    pub file: FileIdentity,
    /// Ambient capabilities, a bit for each by its number.
    pub ambient_capabilities: u64,
    /// Three numbers of the file's ELF header, from [`HEADER_AT`] on: where the program begins, and where the tables of its
    /// segments and sections are. What is no ELF file of 64 bits has other bytes there.
    pub header: [u64; 3],
    pub directory_length: u32,
    pub root_length: u32,
    pub cgroup_length: u32,
    pub filename_length: u32,
    pub groups_length: u32,
    pub cgroup_rest_length: u32,
    pub executable_rest_length: u32,
    pub directory_rest_length: u32,
    pub root_rest_length: u32,
    /// How many supplementary groups there are.
    pub groups_total: u32,
    pub arguments_length: u32,
    /// Bytes of all arguments in the process's memory.
    pub arguments_total: u32,
}

/// The fixed part of [`RecordKind::Arguments`] and [`RecordKind::Environment`]; `length` bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ArgumentsFixed {
    pub head: RecordHead,
    pub pid: u32,
    /// Where the chunk begins among all bytes of the arguments, or of the environment.
    pub offset: u32,
    pub length: u32,
    pub reserved: u32,
}
