//! The table of everything the kernel side needs to know about the running kernel's structures.
//!
//! The agent resolves each entry from `/sys/kernel/btf/vmlinux` and hands the numbers to the
//! programs as read-only globals, which the verifier treats as constants.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::hooks::{ALL, Need};

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

/// One number of [`KernelLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutEntry {
    pub name: &'static str,
    pub source: Source,
    pub need: Need,
    /// The kernels it has been verified on.
    pub kernels: &'static str,
}

macro_rules! kernel_layout {
    ($($(#[$doc:meta])* $name:ident: $source:expr, $need:expr, $kernels:expr;)*) => {
        /// Offsets, sizes and values of the running kernel; [`KernelLayout::ABSENT`] marks what
        /// it does not have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct KernelLayout { $($(#[$doc])* pub $name: u32,)* }

        /// The entries of [`KernelLayout`], in its order.
        pub const KERNEL_LAYOUT: &[LayoutEntry] = &[
            $(LayoutEntry {
                name: stringify!($name),
                source: $source,
                need: $need,
                kernels: $kernels,
            },)*
        ];

        impl KernelLayout {
            /// Marks an entry that the kernel does not have.
            pub const ABSENT: u32 = u32::MAX;
            /// Nothing resolved yet.
            pub const UNRESOLVED: Self = Self { $($name: Self::ABSENT,)* };
        }
    };
}

use Need::{Optional, Replaced, Required};
use Source::{Enumerator, Member, Size};

const NAMESPACES: Need = Optional("namespace ids");
const CHANGED: Need = Optional("when a program's file was changed");
const CGROUP_V1: Need = Optional("cgroup paths of v1 hierarchies");

kernel_layout! {
    task_pid: Member("task_struct", "pid"), Required, ALL;
    task_tgid: Member("task_struct", "tgid"), Required, ALL;
    task_real_parent: Member("task_struct", "real_parent"), Required, ALL;
    task_group_leader: Member("task_struct", "group_leader"), Required, ALL;
    /// Called `real_start_time` before 5.5.
    task_start: Member("task_struct", "start_boottime"), Required, ALL;
    task_thread_pid: Member("task_struct", "thread_pid"), Required, ALL;
    task_signal: Member("task_struct", "signal"), Required, ALL;
    task_cred: Member("task_struct", "cred"), Required, ALL;
    task_mm: Member("task_struct", "mm"), Required, ALL;
    task_fs: Member("task_struct", "fs"), Required, ALL;
    task_files: Member("task_struct", "files"), Required, ALL;
    task_nsproxy: Member("task_struct", "nsproxy"), NAMESPACES, ALL;
    task_cgroups: Member("task_struct", "cgroups"), Required, ALL;
    task_exit_code: Member("task_struct", "exit_code"), Required, ALL;
    signal_live: Member("signal_struct", "live.counter"), Required, ALL;
    signal_pids: Member("signal_struct", "pids"), Required, ALL;
    signal_tty: Member("signal_struct", "tty"), Required, ALL;
    signal_group_exit_code: Member("signal_struct", "group_exit_code"), Required, ALL;
    pid_type_group: Enumerator("pid_type", "PIDTYPE_PGID"), Required, ALL;
    pid_type_session: Enumerator("pid_type", "PIDTYPE_SID"), Required, ALL;
    pid_level: Member("pid", "level"), Required, ALL;
    pid_numbers: Member("pid", "numbers"), Required, ALL;
    upid_number: Member("upid", "nr"), Required, ALL;
    upid_namespace: Member("upid", "ns"), NAMESPACES, ALL;
    upid_size: Size("upid"), Required, ALL;
    tty_driver: Member("tty_struct", "driver"), Required, ALL;
    tty_index: Member("tty_struct", "index"), Required, ALL;
    tty_driver_major: Member("tty_driver", "major"), Required, ALL;
    tty_driver_minor_start: Member("tty_driver", "minor_start"), Required, ALL;
    cred_uid: Member("cred", "uid"), Required, ALL;
    cred_gid: Member("cred", "gid"), Required, ALL;
    cred_suid: Member("cred", "suid"), Required, ALL;
    cred_sgid: Member("cred", "sgid"), Required, ALL;
    cred_euid: Member("cred", "euid"), Required, ALL;
    cred_egid: Member("cred", "egid"), Required, ALL;
    cred_permitted: Member("cred", "cap_permitted"), Required, ALL;
    cred_effective: Member("cred", "cap_effective"), Required, ALL;
    cred_ambient: Member("cred", "cap_ambient"), Required, ALL;
    cred_groups: Member("cred", "group_info"), Required, ALL;
    groups_count: Member("group_info", "ngroups"), Required, ALL;
    groups_ids: Member("group_info", "gid"), Required, ALL;
    cred_user_namespace: Member("cred", "user_ns"), NAMESPACES, ALL;
    user_namespace_inode: Member("user_namespace", "ns.inum"), NAMESPACES, ALL;
    nsproxy_mount: Member("nsproxy", "mnt_ns"), NAMESPACES, ALL;
    mount_namespace_inode: Member("mnt_namespace", "ns.inum"), NAMESPACES, ALL;
    nsproxy_network: Member("nsproxy", "net_ns"), NAMESPACES, ALL;
    network_namespace_inode: Member("net", "ns.inum"), NAMESPACES, ALL;
    nsproxy_uts: Member("nsproxy", "uts_ns"), NAMESPACES, ALL;
    uts_namespace_inode: Member("uts_namespace", "ns.inum"), NAMESPACES, ALL;
    nsproxy_ipc: Member("nsproxy", "ipc_ns"), NAMESPACES, ALL;
    ipc_namespace_inode: Member("ipc_namespace", "ns.inum"), NAMESPACES, ALL;
    nsproxy_cgroup: Member("nsproxy", "cgroup_ns"), NAMESPACES, ALL;
    cgroup_namespace_inode: Member("cgroup_namespace", "ns.inum"), NAMESPACES, ALL;
    pid_namespace_inode: Member("pid_namespace", "ns.inum"), NAMESPACES, ALL;
    mm_arguments_start: Member("mm_struct", "arg_start"), Required, ALL;
    mm_arguments_end: Member("mm_struct", "arg_end"), Required, ALL;
    mm_environment_start: Member("mm_struct", "env_start"), Required, ALL;
    mm_environment_end: Member("mm_struct", "env_end"), Required, ALL;
    mm_executable: Member("mm_struct", "exe_file"), Required, ALL;
    file_mount: Member("file", "f_path.mnt"), Required, ALL;
    file_dentry: Member("file", "f_path.dentry"), Required, ALL;
    file_inode: Member("file", "f_inode"), Required, ALL;
    /// Of a socket's file, the `struct socket`.
    file_private: Member("file", "private_data"), Required, ALL;
    socket_sock: Member("socket", "sk"), Required, ALL;
    sock_family: Member("sock", "__sk_common.skc_family"), Required, ALL;
    inode_mode: Member("inode", "i_mode"), Required, ALL;
    inode_device: Member("inode", "i_rdev"), Required, ALL;
    inode_uid: Member("inode", "i_uid"), Required, ALL;
    inode_gid: Member("inode", "i_gid"), Required, ALL;
    inode_number: Member("inode", "i_ino"), Required, ALL;
    inode_links: Member("inode", "i_nlink"), Required, ALL;
    /// Its seconds, of eight bytes.
    inode_changed: Member("inode", "i_ctime|__i_ctime|i_ctime_sec"), CHANGED, "5.10 to 6.5 as `i_ctime`, to 6.10 as `__i_ctime`, then as `i_ctime_sec`";
    /// Before, nanoseconds follow the seconds.
    inode_changed_nanoseconds: Member("inode", "i_ctime_nsec"), Replaced, "6.11 to 7.2";
    inode_file_system: Member("inode", "i_sb"), Required, ALL;
    /// In overlayfs's own inode structure, which belongs to a module and is not in this BTF, a pointer to the upper
    /// layer's directory entry directly follows the kernel's inode.
    inode_size: Size("inode"), Required, ALL;
    file_system_device: Member("super_block", "s_dev"), Required, ALL;
    file_system_magic: Member("super_block", "s_magic"), Required, ALL;
    files_table: Member("files_struct", "fdt"), Required, ALL;
    table_descriptors: Member("fdtable", "fd"), Required, ALL;
    table_size: Member("fdtable", "max_fds"), Required, ALL;
    fs_root_mount: Member("fs_struct", "root.mnt"), Required, ALL;
    fs_root_dentry: Member("fs_struct", "root.dentry"), Required, ALL;
    fs_directory_mount: Member("fs_struct", "pwd.mnt"), Required, ALL;
    fs_directory_dentry: Member("fs_struct", "pwd.dentry"), Required, ALL;
    dentry_parent: Member("dentry", "d_parent"), Required, ALL;
    dentry_name: Member("dentry", "d_name.name"), Required, ALL;
    dentry_inode: Member("dentry", "d_inode"), Required, ALL;
    dentry_hash: Member("dentry", "d_hash.pprev"), Required, ALL;
    vfsmount_file_system: Member("vfsmount", "mnt_sb"), Required, ALL;
    vfsmount_root: Member("vfsmount", "mnt_root"), Required, ALL;
    mount_vfsmount: Member("mount", "mnt"), Required, ALL;
    mount_parent: Member("mount", "mnt_parent"), Required, ALL;
    mount_mountpoint: Member("mount", "mnt_mountpoint"), Required, ALL;
    mount_namespace: Member("mount", "mnt_ns"), Required, ALL;
    css_set_default_cgroup: Member("css_set", "dfl_cgrp"), Required, ALL;
    css_set_subsystems: Member("css_set", "subsys"), CGROUP_V1, ALL;
    subsystem_pids: Enumerator("cgroup_subsys_id", "pids_cgrp_id"), CGROUP_V1, ALL;
    subsystem_memory: Enumerator("cgroup_subsys_id", "memory_cgrp_id"), CGROUP_V1, ALL;
    subsystem_state_cgroup: Member("cgroup_subsys_state", "cgroup"), CGROUP_V1, ALL;
    cgroup_node: Member("cgroup", "kn"), Required, ALL;
    cgroup_level: Member("cgroup", "level"), Required, ALL;
    /// Pointers to the cgroups above, from the root on, and to itself.
    cgroup_ancestors: Member("cgroup", "ancestors"), Replaced, "6.1 to 7.2";
    /// Their ids.
    cgroup_ancestor_ids: Member("cgroup", "ancestor_ids"), Replaced, "5.10 to 6.0";
    node_id: Member("kernfs_node", "id"), Required, ALL;
    /// A cgroup's node points to the cgroup.
    node_private: Member("kernfs_node", "priv"), Required, ALL;
    node_parent: Member("kernfs_node", "parent|__parent"), Required, "5.10 to 6.14 as `parent`, from 6.15 as `__parent`";
    node_name: Member("kernfs_node", "name"), Required, ALL;
    bprm_filename: Member("linux_binprm", "filename"), Required, ALL;
    bprm_interpreter: Member("linux_binprm", "interp"), Required, ALL;
    /// The beginning of the file that runs.
    bprm_beginning: Member("linux_binprm", "buf"), Required, ALL;
    siginfo_code: Member("kernel_siginfo", "si_code"), Required, ALL;
}
