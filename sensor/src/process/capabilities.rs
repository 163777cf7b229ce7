//! Names of the kernel's capabilities, and which of them come from the executed file.

use super::model::Credentials;

/// In the order of `linux/capability.h`.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The inode number of the first user namespace, the same on every kernel (`PROC_USER_INIT_INO`).
pub(crate) const FIRST_USER_NAMESPACE: u32 = 0xefff_fffd;

/// The names of the capabilities in a set.
pub(crate) fn capability_names(set: u64) -> impl Iterator<Item = &'static str> {
    let names = NAMES.into_iter().enumerate();
    names
        .filter(move |(number, _)| set >> number & 1 == 1)
        .map(|(_, name)| name)
}

/// The capabilities that a process has after an exec because its file has them. A process that is not root keeps only
/// the ambient ones, so any others must be the file's. (Whether it is root in another user namespace is not known here,
/// so for those nothing is reported.)
pub(super) fn granted_by_file(after: &Credentials, ambient: u64, user_namespace: u32) -> u64 {
    let is_root = after.uid == 0 || after.effective_uid == 0;
    if is_root || user_namespace != FIRST_USER_NAMESPACE {
        return 0;
    }
    after.permitted & !ambient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_named_by_their_number() {
        let names = |set| capability_names(set).collect::<Vec<_>>();
        assert_eq!(names(0), [""; 0]);
        assert_eq!(
            names(1 << 21 | 1 << 40 | 1 << 63),
            ["CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"]
        );
        assert_eq!(names(u64::MAX), NAMES);
    }

    #[test]
    fn capabilities_come_from_the_file_only_where_nothing_else_gives_them() {
        let after = |uid, permitted| Credentials {
            uid,
            effective_uid: uid,
            permitted,
            ..Credentials::default()
        };
        let granted = |after, ambient, namespace| granted_by_file(&after, ambient, namespace);
        assert_eq!(granted(after(1000, 3), 1, FIRST_USER_NAMESPACE), 2);
        assert_eq!(granted(after(1000, 1), 1, FIRST_USER_NAMESPACE), 0);
        assert_eq!(granted(after(0, 3), 0, FIRST_USER_NAMESPACE), 0);
        assert_eq!(granted(after(1000, 3), 0, 4_026_532_000), 0);
    }
}
