//! The one table of what the kernel side needs to know of the running kernel's structures.
//!
//! The agent resolves each entry from `/sys/kernel/btf/vmlinux` and hands the numbers to the
//! programs as read-only globals, which the verifier treats as constants.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Where a number of [`KernelLayout`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Offset in bytes of a member, through nested members (`a.b`); of several names with `|`
    /// between them, the first that the kernel has.
    Member(&'static str, &'static str),
    /// Value of an enumerator.
    Enumerator(&'static str, &'static str),
    /// Size of a structure in bytes.
    Size(&'static str),
}

/// What follows when a kernel lacks an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The sensor cannot run.
    Required,
    /// What is named here is not reported.
    Optional(&'static str),
}

/// One number of [`KernelLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutEntry {
    pub name: &'static str,
    pub source: Source,
    pub need: Need,
}

macro_rules! kernel_layout {
    ($($(#[$doc:meta])* $name:ident: $source:expr, $need:expr;)*) => {
        /// Offsets, sizes and values of the running kernel; [`KernelLayout::ABSENT`] marks what
        /// it does not have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct KernelLayout { $($(#[$doc])* pub $name: u32,)* }

        /// The entries of [`KernelLayout`], in its order.
        pub const KERNEL_LAYOUT: &[LayoutEntry] = &[
            $(LayoutEntry { name: stringify!($name), source: $source, need: $need },)*
        ];

        impl KernelLayout {
            /// Stands for an entry that the kernel does not have.
            pub const ABSENT: u32 = u32::MAX;
            /// Nothing resolved yet.
            pub const UNRESOLVED: Self = Self { $($name: Self::ABSENT,)* };
        }
    };
}

use Need::{Optional, Required};
use Source::{Enumerator, Member, Size};

const NAMESPACES: Need = Optional("namespace ids");
const CGROUP_V1: Need = Optional("cgroup paths of v1 hierarchies");

// Each entry holds from Linux 5.10 to 7.2 unless its comment says otherwise.
kernel_layout! {
    task_pid: Member("task_struct", "pid"), Required;
    task_tgid: Member("task_struct", "tgid"), Required;
    task_real_parent: Member("task_struct", "real_parent"), Required;
    task_group_leader: Member("task_struct", "group_leader"), Required;
    /// Called `real_start_time` before 5.5.
    task_start: Member("task_struct", "start_boottime"), Required;
    task_thread_pid: Member("task_struct", "thread_pid"), Required;
    task_signal: Member("task_struct", "signal"), Required;
    task_cred: Member("task_struct", "cred"), Required;
    task_mm: Member("task_struct", "mm"), Required;
    task_fs: Member("task_struct", "fs"), Required;
    task_files: Member("task_struct", "files"), Required;
    task_nsproxy: Member("task_struct", "nsproxy"), NAMESPACES;
    task_cgroups: Member("task_struct", "cgroups"), Required;
    task_exit_code: Member("task_struct", "exit_code"), Required;
    signal_live: Member("signal_struct", "live.counter"), Required;
    signal_pids: Member("signal_struct", "pids"), Required;
    signal_tty: Member("signal_struct", "tty"), Required;
    signal_group_exit_code: Member("signal_struct", "group_exit_code"), Required;
    pid_type_group: Enumerator("pid_type", "PIDTYPE_PGID"), Required;
    pid_type_session: Enumerator("pid_type", "PIDTYPE_SID"), Required;
    pid_level: Member("pid", "level"), Required;
    pid_numbers: Member("pid", "numbers"), Required;
    upid_number: Member("upid", "nr"), Required;
    upid_namespace: Member("upid", "ns"), NAMESPACES;
    upid_size: Size("upid"), Required;
    tty_driver: Member("tty_struct", "driver"), Required;
    tty_index: Member("tty_struct", "index"), Required;
    tty_driver_major: Member("tty_driver", "major"), Required;
    tty_driver_minor_start: Member("tty_driver", "minor_start"), Required;
    cred_uid: Member("cred", "uid"), Required;
    cred_gid: Member("cred", "gid"), Required;
    cred_suid: Member("cred", "suid"), Required;
    cred_sgid: Member("cred", "sgid"), Required;
    cred_euid: Member("cred", "euid"), Required;
    cred_egid: Member("cred", "egid"), Required;
    cred_permitted: Member("cred", "cap_permitted"), Required;
    cred_effective: Member("cred", "cap_effective"), Required;
    cred_ambient: Member("cred", "cap_ambient"), Required;
    cred_groups: Member("cred", "group_info"), Required;
    groups_count: Member("group_info", "ngroups"), Required;
    groups_ids: Member("group_info", "gid"), Required;
    cred_user_namespace: Member("cred", "user_ns"), NAMESPACES;
    user_namespace_inode: Member("user_namespace", "ns.inum"), NAMESPACES;
    nsproxy_mount: Member("nsproxy", "mnt_ns"), NAMESPACES;
    mount_namespace_inode: Member("mnt_namespace", "ns.inum"), NAMESPACES;
    nsproxy_network: Member("nsproxy", "net_ns"), NAMESPACES;
    network_namespace_inode: Member("net", "ns.inum"), NAMESPACES;
    nsproxy_uts: Member("nsproxy", "uts_ns"), NAMESPACES;
    uts_namespace_inode: Member("uts_namespace", "ns.inum"), NAMESPACES;
    nsproxy_ipc: Member("nsproxy", "ipc_ns"), NAMESPACES;
    ipc_namespace_inode: Member("ipc_namespace", "ns.inum"), NAMESPACES;
    nsproxy_cgroup: Member("nsproxy", "cgroup_ns"), NAMESPACES;
    cgroup_namespace_inode: Member("cgroup_namespace", "ns.inum"), NAMESPACES;
    pid_namespace_inode: Member("pid_namespace", "ns.inum"), NAMESPACES;
    mm_arguments_start: Member("mm_struct", "arg_start"), Required;
    mm_arguments_end: Member("mm_struct", "arg_end"), Required;
    mm_environment_start: Member("mm_struct", "env_start"), Required;
    mm_environment_end: Member("mm_struct", "env_end"), Required;
    mm_executable: Member("mm_struct", "exe_file"), Required;
    file_mount: Member("file", "f_path.mnt"), Required;
    file_dentry: Member("file", "f_path.dentry"), Required;
    file_inode: Member("file", "f_inode"), Required;
    inode_mode: Member("inode", "i_mode"), Required;
    inode_device: Member("inode", "i_rdev"), Required;
    inode_uid: Member("inode", "i_uid"), Required;
    inode_gid: Member("inode", "i_gid"), Required;
    inode_number: Member("inode", "i_ino"), Required;
    inode_links: Member("inode", "i_nlink"), Required;
    inode_file_system: Member("inode", "i_sb"), Required;
    /// In an inode of an overlay file system, the upper layer's directory entry follows right
    /// behind; that structure is a module's own.
    inode_size: Size("inode"), Required;
    file_system_device: Member("super_block", "s_dev"), Required;
    file_system_magic: Member("super_block", "s_magic"), Required;
    files_table: Member("files_struct", "fdt"), Required;
    table_descriptors: Member("fdtable", "fd"), Required;
    table_size: Member("fdtable", "max_fds"), Required;
    fs_root_mount: Member("fs_struct", "root.mnt"), Required;
    fs_root_dentry: Member("fs_struct", "root.dentry"), Required;
    fs_directory_mount: Member("fs_struct", "pwd.mnt"), Required;
    fs_directory_dentry: Member("fs_struct", "pwd.dentry"), Required;
    dentry_parent: Member("dentry", "d_parent"), Required;
    dentry_name: Member("dentry", "d_name.name"), Required;
    dentry_hash: Member("dentry", "d_hash.pprev"), Required;
    vfsmount_root: Member("vfsmount", "mnt_root"), Required;
    mount_vfsmount: Member("mount", "mnt"), Required;
    mount_parent: Member("mount", "mnt_parent"), Required;
    mount_mountpoint: Member("mount", "mnt_mountpoint"), Required;
    css_set_default_cgroup: Member("css_set", "dfl_cgrp"), Required;
    css_set_subsystems: Member("css_set", "subsys"), CGROUP_V1;
    subsystem_pids: Enumerator("cgroup_subsys_id", "pids_cgrp_id"), CGROUP_V1;
    subsystem_memory: Enumerator("cgroup_subsys_id", "memory_cgrp_id"), CGROUP_V1;
    subsystem_state_cgroup: Member("cgroup_subsys_state", "cgroup"), CGROUP_V1;
    cgroup_node: Member("cgroup", "kn"), Required;
    node_id: Member("kernfs_node", "id"), Required;
    /// `__parent` from 6.15 on.
    node_parent: Member("kernfs_node", "parent|__parent"), Required;
    node_name: Member("kernfs_node", "name"), Required;
    bprm_filename: Member("linux_binprm", "filename"), Required;
    bprm_interpreter: Member("linux_binprm", "interp"), Required;
}
