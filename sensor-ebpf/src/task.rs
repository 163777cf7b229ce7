//! Who is acting: a task's process, with credentials, namespaces, terminal, descriptors and cgroup.

use sensor_abi::{Descriptor, FLAG_CGROUP_V1, KernelLayout, Namespaces, ProcessFixed};

use crate::{
    layout::layout,
    read::{Address, Block, BlockBytes, pointer, read, read_optional},
};

/// `S_IFMT` and `S_IFSOCK`.
const FILE_TYPE: u32 = 0o170_000;
const SOCKET: u32 = 0o140_000;

/// What every record says about a process; `task` is any of its threads.
#[inline(always)]
pub(crate) fn process(task: Address, credentials: Block) -> ProcessFixed {
    let leader = pointer(task, layout!(task_group_leader));
    let parent = pointer(task, layout!(task_real_parent));
    let parent_leader = pointer(parent, layout!(task_group_leader));
    let signal = pointer(task, layout!(task_signal));
    let thread_pid = pointer(leader, layout!(task_thread_pid));
    let (default_node, _) = default_cgroup_node(task);
    ProcessFixed {
        start_ns: read(leader, layout!(task_start)),
        parent_start_ns: read(parent_leader, layout!(task_start)),
        cgroup_id: read(default_node, layout!(node_id)),
        pid: read(task, layout!(task_tgid)),
        namespace_pid: read(own_upid(thread_pid), layout!(upid_number)),
        parent_pid: read(parent, layout!(task_tgid)),
        group_pid: linked_pid(signal, layout!(pid_type_group)),
        session_pid: linked_pid(signal, layout!(pid_type_session)),
        terminal: terminal(signal),
        uid: credentials.get(layout!(cred_uid)),
        gid: credentials.get(layout!(cred_gid)),
        saved_uid: credentials.get(layout!(cred_suid)),
        saved_gid: credentials.get(layout!(cred_sgid)),
        effective_uid: credentials.get(layout!(cred_euid)),
        effective_gid: credentials.get(layout!(cred_egid)),
        permitted_capabilities: credentials.get(layout!(cred_permitted)),
        effective_capabilities: credentials.get(layout!(cred_effective)),
    }
}

/// The `struct cred` of a process, read into `bytes`.
#[inline(always)]
pub(crate) fn credentials(bytes: *mut BlockBytes, task: Address) -> Block {
    Block::read(bytes, pointer(task, layout!(task_cred)))
}

/// The `struct upid` of a `struct pid` in its own, deepest namespace.
#[inline(always)]
fn own_upid(pid: Address) -> Address {
    let level = read::<u32>(pid, layout!(pid_level)) as u64;
    pid + layout!(pid_numbers) as u64 + level * layout!(upid_size) as u64
}

/// The pid of type `pid_type` (group or session) of a process, in the host's namespace.
#[inline(always)]
pub(crate) fn linked_pid(signal: Address, pid_type: u32) -> u32 {
    let pid = pointer(signal + layout!(signal_pids) as u64, pid_type * 8);
    read(pid + layout!(pid_numbers) as u64, layout!(upid_number))
}

/// The controlling terminal as a `dev_t`, 0 if there is none.
#[inline(always)]
fn terminal(signal: Address) -> u32 {
    let tty = pointer(signal, layout!(signal_tty));
    if tty == 0 {
        return 0;
    }
    let driver = pointer(tty, layout!(tty_driver));
    let major = read::<u32>(driver, layout!(tty_driver_major));
    let first = read::<u32>(driver, layout!(tty_driver_minor_start));
    let index = read::<u32>(tty, layout!(tty_index));
    major << 20 | ((first + index) & 0xf_ffff)
}

/// Standard input, output and error.
#[inline(always)]
pub(crate) fn descriptors(task: Address) -> [Descriptor; 3] {
    let table = pointer(pointer(task, layout!(task_files)), layout!(files_table));
    let files = pointer(table, layout!(table_descriptors));
    let size = read::<u32>(table, layout!(table_size));
    let mut descriptors = [Descriptor { mode: 0, device: 0 }; 3];
    if size < 3 {
        return descriptors;
    }
    for (number, descriptor) in descriptors.iter_mut().enumerate() {
        // The low bits of a pointer to a file are not flags in this table.
        let file = pointer(files, number as u32 * 8);
        let inode = pointer(file, layout!(file_inode));
        descriptor.mode = read::<u16>(inode, layout!(inode_mode)) as u32;
        descriptor.device = if descriptor.mode & FILE_TYPE == SOCKET {
            let sock = pointer(pointer(file, layout!(file_private)), layout!(socket_sock));
            read::<u16>(sock, layout!(sock_family)) as u32
        } else {
            read(inode, layout!(inode_device))
        };
    }
    descriptors
}

/// The `struct mnt_namespace` of a task, 0 if the kernel has none.
#[inline(always)]
pub(crate) fn mount_namespace(task: Address) -> Address {
    if layout!(task_nsproxy) == KernelLayout::ABSENT || layout!(nsproxy_mount) == KernelLayout::ABSENT {
        return 0;
    }
    pointer(pointer(task, layout!(task_nsproxy)), layout!(nsproxy_mount))
}

/// The inode number of the mount namespace that a `struct vfsmount` hangs in; 0 if it hangs nowhere.
#[inline(always)]
pub(crate) fn namespace_of_mount(mount: Address) -> u32 {
    let this = mount - layout!(mount_vfsmount) as u64;
    read_optional(pointer(this, layout!(mount_namespace)), layout!(mount_namespace_inode))
}

/// The inode numbers of a task's namespaces.
#[inline(always)]
pub(crate) fn namespaces(task: Address, credentials: Block) -> Namespaces {
    if layout!(task_nsproxy) == KernelLayout::ABSENT {
        return Namespaces::default();
    }
    let proxy = pointer(task, layout!(task_nsproxy));
    let inode_of = |member: u32, inode: u32| -> u32 {
        if member == KernelLayout::ABSENT {
            return 0;
        }
        read_optional(pointer(proxy, member), inode)
    };
    let upid = own_upid(pointer(task, layout!(task_thread_pid)));
    Namespaces {
        mount: inode_of(layout!(nsproxy_mount), layout!(mount_namespace_inode)),
        pid: read_optional(
            read_optional::<u64>(upid, layout!(upid_namespace)),
            layout!(pid_namespace_inode),
        ),
        network: inode_of(layout!(nsproxy_network), layout!(network_namespace_inode)),
        uts: inode_of(layout!(nsproxy_uts), layout!(uts_namespace_inode)),
        ipc: inode_of(layout!(nsproxy_ipc), layout!(ipc_namespace_inode)),
        cgroup: inode_of(layout!(nsproxy_cgroup), layout!(cgroup_namespace_inode)),
        user: if layout!(cred_user_namespace) == KernelLayout::ABSENT {
            0
        } else {
            read_optional(
                credentials.get(layout!(cred_user_namespace)),
                layout!(user_namespace_inode),
            )
        },
    }
}

/// The kernfs node of the process's cgroup in the v2 tree, and the `struct css_set`.
#[inline(always)]
fn default_cgroup_node(task: Address) -> (Address, Address) {
    let set = pointer(task, layout!(task_cgroups));
    let cgroup = pointer(set, layout!(css_set_default_cgroup));
    (pointer(cgroup, layout!(cgroup_node)), set)
}

/// The node whose path names the process's cgroup: in the v2 tree, or if the process is at that tree's root, in the v1
/// hierarchy of the pids controller, or else of the memory controller. With flags.
#[inline(always)]
pub(crate) fn cgroup_node(task: Address) -> (Address, u16) {
    let (default_node, set) = default_cgroup_node(task);
    if pointer(default_node, layout!(node_parent)) != 0
        || layout!(css_set_subsystems) == KernelLayout::ABSENT
        || layout!(subsystem_state_cgroup) == KernelLayout::ABSENT
    {
        return (default_node, 0);
    }
    let node_in = |subsystem: u32| -> Address {
        if subsystem == KernelLayout::ABSENT {
            return 0;
        }
        let state = pointer(set + layout!(css_set_subsystems) as u64, subsystem * 8);
        let cgroup = pointer(state, layout!(subsystem_state_cgroup));
        let node = pointer(cgroup, layout!(cgroup_node));
        if pointer(node, layout!(node_parent)) == 0 {
            0
        } else {
            node
        }
    };
    let pids = node_in(layout!(subsystem_pids));
    if pids != 0 {
        return (pids, FLAG_CGROUP_V1);
    }
    let memory = node_in(layout!(subsystem_memory));
    if memory != 0 {
        return (memory, FLAG_CGROUP_V1);
    }
    (default_node, 0)
}
