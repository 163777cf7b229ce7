//! Which system calls each role makes.
//!
//! Nothing here gives a thread another program, another process, another namespace or another protocol than it needs:
//! no `ptrace` and `process_vm_writev`, no modules, mounts, keys, `userfaultfd` or `io_uring`, no sockets but local ones,
//! no memory that can be executed. `execve` is one role's.

use libc::{c_int, c_long};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::role::Role;

/// A call that is permitted where all conditions hold.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) number: c_long,
    name: &'static str,
    conditions: Vec<Condition>,
}

/// These bits of an argument have this value.
#[derive(Clone, Copy, Debug)]
struct Condition {
    argument: u8,
    mask: u64,
    value: u64,
}

impl Call {
    pub(super) fn is_unconditional(&self) -> bool {
        self.conditions.is_empty()
    }

    /// What a filter compares; `None` for a call without a condition.
    pub(super) fn rule(&self) -> Result<Option<SeccompRule>, BackendError> {
        if self.is_unconditional() {
            return Ok(None);
        }
        let conditions = self.conditions.iter().map(|condition| {
            SeccompCondition::new(
                condition.argument,
                SeccompCmpArgLen::Qword,
                SeccompCmpOp::MaskedEq(condition.mask),
                condition.value,
            )
        });
        SeccompRule::new(conditions.collect::<Result<_, _>>()?).map(Some)
    }
}

/// An argument of 32 bits is this.
fn is(argument: u8, value: c_int) -> Condition {
    Condition {
        argument,
        mask: u32::MAX.into(),
        value: value.cast_unsigned().into(),
    }
}

/// None of these bits of an argument are set.
fn is_without(argument: u8, bits: c_int) -> Condition {
    Condition {
        argument,
        mask: bits.cast_unsigned().into(),
        value: 0,
    }
}

/// All of these bits of an argument are set.
fn is_with(argument: u8, bits: c_int) -> Condition {
    Condition {
        argument,
        mask: bits.cast_unsigned().into(),
        value: bits.cast_unsigned().into(),
    }
}

/// System calls by their names, each with the conditions that are given for all.
macro_rules! calls {
    ($($call:ident)*) => {
        calls!(if []; $($call)*)
    };
    (if $conditions:expr; $($call:ident)*) => {
        vec![$(Call {
            number: libc::$call,
            name: stringify!($call),
            conditions: <[Condition]>::to_vec(&$conditions),
        }),*]
    };
}

/// What may not be in the flags of a file that is opened for reading alone. Not `O_ACCMODE`, in which musl has `O_PATH`.
const WRITES: c_int =
    libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);
/// Namespaces that a new process may not be in.
const NAMESPACES: c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
// Not in every C library's bindings: what the kernel told the program at its start, and to name an allocator's memory.
const PR_GET_AUXV: c_int = 0x4155_5856;
const PR_SET_VMA: c_int = 0x5356_4d41;

// Commands of bpf(2): elements of maps, what is attached, and attaching a program that is loaded.
const BPF_COMMANDS: [c_int; 7] = [1, 2, 3, 4, 15, 17, 28];

/// All that is permitted to threads that have no role (yet).
pub(super) fn of_start() -> Vec<Call> {
    let mut permitted: Vec<Call> = Role::ALL.into_iter().flat_map(of_role).collect();
    // To load the programs, to see the host's cgroups and name, and to enter a role.
    permitted.extend(calls!(
        SYS_bpf SYS_perf_event_open SYS_setns SYS_prlimit64 SYS_prctl SYS_capget SYS_capset SYS_seccomp
        SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
        SYS_sched_setaffinity
    ));
    #[cfg(target_arch = "x86_64")]
    permitted.extend(calls!(SYS_setrlimit SYS_getrlimit));
    permitted
}

/// What a role makes use of.
pub(super) fn of_role(role: Role) -> Vec<Call> {
    let further: &[fn() -> Vec<Call>] = match role {
        Role::Main => &[writing, speaking],
        Role::Signals => &[waiting_for_signals],
        Role::Events => &[looking_below, asking_maps, taking_precedence, locking],
        Role::Engines => &[speaking, waiting_for_many],
        Role::Files => &[writing],
        Role::Users => &[looking_below],
        Role::Output => &[taking_precedence],
        Role::Notices => &[starting_itself, limiting_itself],
        Role::Rules => &[speaking, watching_files],
        Role::Control => &[writing, speaking, listening],
    };
    let mut permitted = common();
    permitted.extend(further.iter().flat_map(|calls| calls()));
    permitted
}

/// Memory, threads, time, open files, and files for reading.
fn common() -> Vec<Call> {
    let mut permitted = calls!(
        SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_close SYS_fstat SYS_lseek SYS_fcntl
        SYS_ppoll SYS_pselect6
        SYS_futex SYS_sched_yield SYS_nanosleep SYS_clock_nanosleep SYS_clock_gettime SYS_clock_getres SYS_gettimeofday
        SYS_getrandom SYS_getpid SYS_getppid SYS_gettid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_uname
        SYS_sysinfo SYS_sched_getaffinity SYS_getcpu SYS_getrusage SYS_membarrier
        SYS_munmap SYS_mremap SYS_madvise SYS_brk
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack SYS_restart_syscall
        SYS_clone3 SYS_set_robust_list SYS_rseq SYS_set_tid_address SYS_exit SYS_exit_group
        SYS_statx SYS_newfstatat SYS_readlinkat SYS_getdents64 SYS_faccessat SYS_faccessat2 SYS_statfs SYS_fstatfs
        SYS_getcwd
    );
    permitted.extend(calls!(if [is_without(2, libc::PROT_EXEC)]; SYS_mmap SYS_mprotect));
    permitted.extend(calls!(if [is_with(0, libc::CLONE_THREAD)]; SYS_clone));
    permitted.extend(calls!(if [is_without(2, WRITES)]; SYS_openat));
    // To ask for a limit, not to set one.
    permitted.extend(calls!(if [is(0, 0), Condition { argument: 2, mask: u64::MAX, value: 0 }]; SYS_prlimit64));
    for own in [libc::PR_SET_NAME, libc::PR_GET_NAME, PR_GET_AUXV, PR_SET_VMA] {
        permitted.extend(calls!(if [is(0, own)]; SYS_prctl));
    }
    for harmless in [libc::FIONBIO, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ] {
        permitted.extend(calls!(if [is(1, harmless as c_int)]; SYS_ioctl));
    }
    // A signal to this process alone.
    permitted.extend(calls!(if [is(0, own_process())]; SYS_tgkill));
    #[cfg(target_arch = "x86_64")]
    {
        permitted.extend(calls!(
            SYS_poll SYS_select SYS_stat SYS_lstat SYS_access SYS_readlink SYS_arch_prctl SYS_time SYS_getrlimit
        ));
        permitted.extend(calls!(if [is_without(1, WRITES)]; SYS_open));
    }
    permitted
}

fn own_process() -> c_int {
    std::process::id().cast_signed()
}

/// To see whether another sensor stands by.
fn locking() -> Vec<Call> {
    calls!(SYS_flock)
}

/// To make, change and remove files.
fn writing() -> Vec<Call> {
    let permitted = calls!(
        SYS_openat SYS_ftruncate SYS_fallocate SYS_fsync SYS_fdatasync SYS_flock SYS_renameat SYS_renameat2 SYS_unlinkat
        SYS_fchmod SYS_fchmodat SYS_mkdirat
    );
    #[cfg(target_arch = "x86_64")]
    let permitted = [permitted, calls!(SYS_open SYS_rename SYS_unlink SYS_chmod SYS_mkdir)].concat();
    permitted
}

/// With local sockets.
fn speaking() -> Vec<Call> {
    let mut permitted = calls!(if [is(0, libc::AF_UNIX)]; SYS_socket SYS_socketpair);
    permitted.extend(calls!(
        SYS_connect SYS_sendto SYS_sendmsg SYS_recvfrom SYS_recvmsg SYS_getsockopt SYS_setsockopt SYS_getsockname
        SYS_getpeername SYS_shutdown
    ));
    permitted
}

/// To be spoken to.
fn listening() -> Vec<Call> {
    let mut permitted = calls!(SYS_bind SYS_listen SYS_accept4);
    permitted.extend(calls!(SYS_accept));
    permitted
}

/// For whatever comes first of much.
fn waiting_for_many() -> Vec<Call> {
    let permitted = calls!(SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2);
    #[cfg(target_arch = "x86_64")]
    let permitted = [permitted, calls!(SYS_epoll_wait)].concat();
    permitted
}

fn waiting_for_signals() -> Vec<Call> {
    let permitted = calls!(SYS_rt_sigtimedwait SYS_setitimer);
    #[cfg(target_arch = "x86_64")]
    let permitted = [permitted, calls!(SYS_alarm)].concat();
    permitted
}

fn watching_files() -> Vec<Call> {
    calls!(SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch)
}

/// To set limits of this process back.
fn limiting_itself() -> Vec<Call> {
    calls!(if [is(0, 0)]; SYS_prlimit64)
}

/// To find files below another root. What this opens is told in memory, where no filter looks.
fn looking_below() -> Vec<Call> {
    calls!(SYS_openat2)
}

fn asking_maps() -> Vec<Call> {
    let by_command = BPF_COMMANDS.map(|command| calls!(if [is(0, command)]; SYS_bpf));
    by_command.into_iter().flatten().collect()
}

/// Before other threads, and to be one of them again.
fn taking_precedence() -> Vec<Call> {
    calls!(if [is(0, 0)]; SYS_sched_setscheduler)
        .into_iter()
        .chain(calls!(if [is(0, 0), is(1, 0)]; SYS_setpriority))
        .collect()
}

/// The sensor's own program, with all that it does until it ends.
fn starting_itself() -> Vec<Call> {
    let mut permitted = calls!(SYS_execve SYS_wait4 SYS_waitid SYS_pipe2 SYS_dup3 SYS_openat SYS_mmap SYS_mprotect);
    permitted.extend(calls!(if [is_without(0, NAMESPACES)]; SYS_clone));
    // That one signals this process, which ends it if it hangs.
    permitted.extend(calls!(if [is(0, own_process())]; SYS_kill));
    permitted.extend(calls!(if [is(1, libc::SIGKILL)]; SYS_kill));
    #[cfg(target_arch = "x86_64")]
    permitted.extend(calls!(SYS_open SYS_dup2 SYS_vfork SYS_fork SYS_pipe));
    permitted
}

/// What an intruder would like to call, beside what is a role's.
pub(super) fn wanted() -> Vec<Call> {
    calls!(
        SYS_execveat SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_init_module SYS_finit_module
        SYS_delete_module SYS_kexec_load SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_fsopen SYS_fsmount
        SYS_move_mount SYS_open_tree SYS_unshare SYS_add_key SYS_request_key SYS_keyctl SYS_userfaultfd
        SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_memfd_create SYS_pidfd_open SYS_pidfd_getfd
        SYS_pidfd_send_signal SYS_name_to_handle_at SYS_open_by_handle_at SYS_personality SYS_setuid SYS_setgid
        SYS_setresuid SYS_setresgid SYS_setfsuid SYS_setgroups SYS_quotactl SYS_reboot SYS_swapon SYS_acct
        SYS_settimeofday SYS_clock_settime SYS_adjtimex SYS_sethostname SYS_syslog SYS_tkill SYS_shmat SYS_pkey_mprotect
        SYS_remap_file_pages SYS_mknodat SYS_symlinkat SYS_linkat SYS_fchown SYS_fchownat SYS_setxattr
    )
}

/// The name of a system call that is known here.
pub(super) fn name(number: c_long) -> Option<&'static str> {
    let known = of_start().into_iter().chain(wanted());
    let call = known.into_iter().find(|call| call.number == number)?;
    Some(call.name.trim_start_matches("SYS_"))
}
