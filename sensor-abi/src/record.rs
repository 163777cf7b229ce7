//! The records in the ring buffer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most bytes that one record carries behind its fixed part. A path is at most 4,096 bytes and
/// four of them fit before the arguments; longer arguments continue in [`ArgumentsFixed`] records.
pub const VARIABLE_LIMIT: usize = 48 * 1024;

/// The most argument bytes that one record carries, the first as well as a continuation.
pub const ARGUMENTS_CHUNK: usize = 16 * 1024;

/// The longest path, as the kernel has it (`PATH_MAX`).
pub const PATH_LIMIT: usize = 4096;

/// The most supplementary groups that an exec's record carries.
pub const GROUPS_LIMIT: usize = 64;

/// The most argument bytes that are sent for one exec: a first chunk, and four chunks in each of
/// the 33 tail calls that the kernel allows. The kernel's own limit is a quarter of the stack
/// limit: 2 MiB with the usual 8 MiB.
pub const ARGUMENTS_LIMIT: usize = ARGUMENTS_CHUNK * (1 + CHUNKS_PER_TAIL_CALL * 33);

/// How much of arguments that are longer than `limit` is their end.
pub const fn arguments_tail(limit: u32) -> u32 {
    limit / 4
}

/// The most of an environment that is sent, where it is sent at all.
pub const ENVIRONMENT_LIMIT: usize = 4 * ARGUMENTS_CHUNK;

/// Argument chunks that one run of the continuation program sends.
pub const CHUNKS_PER_TAIL_CALL: usize = 4;

/// [`FileIdentity::file_system`] of an overlay file system.
pub const OVERLAY_MAGIC: u32 = 0x794c_7630;

/// A process was created (its thread group leader; threads are not processes).
pub const KIND_FORK: u16 = 1;
/// A process image was replaced.
pub const KIND_EXEC: u16 = 2;
/// More arguments of the exec before it on the same processor.
pub const KIND_ARGUMENTS: u16 = 3;
/// The last thread of a process ended.
pub const KIND_EXIT: u16 = 4;
/// The environment of the exec before it on the same processor, or more of it; like
/// [`KIND_ARGUMENTS`].
pub const KIND_ENVIRONMENT: u16 = 5;
/// How many kinds of records there are; they are numbered from 1.
pub const KINDS: usize = 5;

/// The arguments go on in a [`KIND_ARGUMENTS`] record of the same processor.
pub const FLAG_ARGUMENTS_CONTINUE: u16 = 1 << 0;
/// The arguments are longer than the limit that was set at load: what is left out lies before the
/// last [`arguments_tail`] bytes of them. Of an environment, its end is left out.
pub const FLAG_ARGUMENTS_CUT: u16 = 1 << 1;
/// The arguments could not be read from the process's memory.
pub const FLAG_ARGUMENTS_UNREADABLE: u16 = 1 << 2;
/// A path has more components than are walked, or is longer than [`PATH_LIMIT`]; its beginning
/// is missing.
pub const FLAG_PATH_CUT: u16 = 1 << 3;
/// The kernel was given a script (or another interpreted format) and runs its interpreter.
pub const FLAG_SCRIPT: u16 = 1 << 4;
/// The executable has no place in any directory tree: a memory file, or one on a mount that hangs
/// nowhere. Its only component is its name.
pub const FLAG_EXECUTABLE_DETACHED: u16 = 1 << 5;
/// The executable's directory entry is gone.
pub const FLAG_EXECUTABLE_DELETED: u16 = 1 << 6;
/// The cgroup path is that of a v1 hierarchy: the process stands at the root of the v2 tree.
pub const FLAG_CGROUP_V1: u16 = 1 << 7;
/// The executable is on an overlay file system, in its upper layer: written or changed since that
/// was mounted, so not what a container's image holds.
pub const FLAG_EXECUTABLE_UPPER: u16 = 1 << 8;
/// [`KIND_ENVIRONMENT`] records of the same processor follow.
pub const FLAG_ENVIRONMENT_FOLLOWS: u16 = 1 << 9;

/// The first bytes of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecordHead {
    /// `KIND_*`.
    pub kind: u16,
    /// `FLAG_*`.
    pub flags: u16,
    /// The processor that wrote the record.
    pub cpu: u32,
    /// Counts the records of this processor from 1, those that were lost included.
    pub sequence: u64,
    /// Nanoseconds since boot, suspended time included (`CLOCK_BOOTTIME`).
    pub time_ns: u64,
}

/// Who a process is; part of every fork, exec and exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProcessFixed {
    /// When the thread group leader was created, nanoseconds since boot.
    pub start_ns: u64,
    /// The same of the parent.
    pub parent_start_ns: u64,
    /// The kernfs id of the process's cgroup in the v2 tree.
    pub cgroup_id: u64,
    /// Thread group id in the host's pid namespace.
    pub pid: u32,
    /// Thread group id in the process's own pid namespace.
    pub namespace_pid: u32,
    /// Thread group id of the real parent, host's pid namespace.
    pub parent_pid: u32,
    /// Process group id, host's pid namespace.
    pub group_pid: u32,
    /// Session id, host's pid namespace.
    pub session_pid: u32,
    /// The controlling terminal as a kernel `dev_t` (`major << 20 | minor`), 0 if none.
    pub terminal: u32,
    pub uid: u32,
    pub gid: u32,
    pub saved_uid: u32,
    pub saved_gid: u32,
    pub effective_uid: u32,
    pub effective_gid: u32,
    /// A bit for each capability, by its number.
    pub permitted_capabilities: u64,
    pub effective_capabilities: u64,
}

/// What a file descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Descriptor {
    /// `st_mode` of the file, 0 if the descriptor is closed.
    pub mode: u32,
    /// `dev_t` of a device file as in [`ProcessFixed::terminal`], otherwise 0.
    pub device: u32,
}

/// The file that runs, whatever its name.
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
}

/// Inode numbers of a process's namespaces; 0 where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Namespaces {
    pub mount: u32,
    pub pid: u32,
    pub network: u32,
    pub uts: u32,
    pub ipc: u32,
    pub cgroup: u32,
    pub user: u32,
}

/// [`KIND_FORK`], whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ForkRecord {
    pub head: RecordHead,
    pub process: ProcessFixed,
    /// Thread group id of the process that called fork; not the parent, if it asked for a sibling.
    pub creator_pid: u32,
    pub reserved: u32,
}

/// [`KIND_EXIT`], whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExitRecord {
    pub head: RecordHead,
    pub process: ProcessFixed,
    /// As `wait` gives it: exit code in bits 8 to 15, signal in bits 0 to 6.
    pub wait_status: u32,
    pub reserved: u32,
}

/// The fixed part of [`KIND_EXEC`]. Behind it, without gaps: `executable_length` bytes of the
/// executable's path, `directory_length` of the working directory's, `cgroup_length` of the
/// cgroup's (all three as path components, last one first, each ended by a zero byte),
/// `filename_length` of the path as it was given to the kernel, `groups_length` of supplementary
/// group ids of four bytes each, and `arguments_length` of the arguments, each ended by a zero byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExecFixed {
    pub head: RecordHead,
    pub process: ProcessFixed,
    pub descriptors: [Descriptor; 3],
    pub namespaces: Namespaces,
    pub executable_length: u32,
    pub file: FileIdentity,
    /// Capabilities that an exec keeps without the file's doing; a bit for each.
    pub ambient_capabilities: u64,
    pub directory_length: u32,
    pub cgroup_length: u32,
    pub filename_length: u32,
    pub groups_length: u32,
    /// How many supplementary groups there are.
    pub groups_total: u32,
    pub arguments_length: u32,
    /// Bytes of all arguments in the process's memory.
    pub arguments_total: u32,
    pub reserved: u32,
}

/// The fixed part of [`KIND_ARGUMENTS`] and [`KIND_ENVIRONMENT`]; `length` bytes follow.
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

/// What each processor counts. `sequence` is also the number of records it tried to send; each of
/// them is in the ring buffer or counted here as lost, by reason and by kind (index `kind - 1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Counters {
    pub sequence: u64,
    /// The ring buffer had no room.
    pub lost_ring_full: [u64; KINDS],
    /// The ring buffer was filling up, and the process's cgroup had filled more than its share.
    pub lost_over_share: [u64; KINDS],
}

/// Bytes in the ring buffer from which on it is counted which cgroup fills it.
pub const fn pressure_counted_from(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 4
}

/// Bytes in the ring buffer from which on a cgroup over its share sends no forks, exits and
/// further arguments.
pub const fn execs_only_from(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 2
}

/// Bytes in the ring buffer from which on a cgroup over its share sends nothing: the rest is kept
/// for the others.
pub const fn reserved_from(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 4 * 3
}

/// Bytes that a cgroup may send under pressure whatever the others do; counted anew for each
/// quarter of the ring buffer that the agent has read.
pub const fn cgroup_share(ring_buffer: u32) -> u64 {
    ring_buffer as u64 / 16
}

/// Limits that the agent sets before load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Limits {
    /// The most argument bytes to send for one exec, at most [`ARGUMENTS_LIMIT`].
    pub arguments: u32,
    /// Size of the ring buffer in bytes.
    pub ring_buffer: u32,
    /// The most bytes of the environment to send for one exec, at most [`ENVIRONMENT_LIMIT`]; 0 for
    /// none.
    pub environment: u32,
}
