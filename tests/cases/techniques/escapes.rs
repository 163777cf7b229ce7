//! Ways out of the container, and what they need.

use super::Way::Exec;
use super::rules::{DISK, ENGINE, HOST, KERNEL, KERNEL_CHANGED, NAMESPACE};
use super::{Technique, told};

pub(super) const TECHNIQUES: [Technique; 35] = [
    told("a-disk-mounted", Exec, "mount /dev/vda1 /mnt", &[DISK]),
    told(
        "a-disk-mounted-by-another-spelling",
        Exec,
        "mount //dev/vda1 /mnt",
        &[DISK],
    ),
    told("a-disk-mounted-by-its-label", Exec, "mount UUID=6a1c-11 /mnt", &[DISK]),
    told(
        "a-disk-mounted-by-the-box",
        Exec,
        "busybox mount /dev/vda1 /mnt",
        &[DISK],
    ),
    told(
        "a-disk-by-way-of-a-folder",
        Exec,
        "mount /dev/../dev/vda1 /mnt",
        &[DISK],
    ),
    told("a-device-file", Exec, "mknod /tmp/disk b 253 0", &[DISK]),
    told(
        "a-device-file-by-the-box",
        Exec,
        "busybox mknod /tmp/disk2 b 253 0",
        &[DISK],
    ),
    told("a-disk-copied", Exec, "dd if=/dev/vda of=/tmp/x count=1", &[DISK]),
    told(
        "a-disk-copied-by-another-spelling",
        Exec,
        "dd if=//dev/vda of=/tmp/x count=1",
        &[DISK],
    ),
    told(
        "a-disk-from-its-folder",
        Exec,
        "cd /dev; dd if=vda of=/tmp/x count=1",
        &[DISK],
    ),
    told("a-disk-by-a-detour", Exec, "cat /dev/../dev/vda", &[DISK]),
    told("the-beginning-of-a-disk", Exec, "head -c 100 /dev/vda", &[DISK]),
    told(
        "a-disk-past-its-file-system",
        Exec,
        "debugfs -R 'cat /etc/shadow' /dev/vda1",
        &[DISK],
    ),
    told("the-first-process-entered", Exec, "nsenter -t 1 -m sh", &[HOST]),
    told("the-first-process-with-a-zero", Exec, "nsenter -t 01 -a sh", &[HOST]),
    told(
        "the-first-process-with-an-abbreviation",
        Exec,
        "nsenter --targ 1 -m sh",
        &[HOST],
    ),
    told(
        "the-first-process-by-the-box",
        Exec,
        "busybox nsenter -t 1 -m sh",
        &[HOST],
    ),
    told("another-process-entered", Exec, "nsenter -t 812 -m -p sh", &[HOST]),
    told("the-hosts-folder-as-root", Exec, "chroot /host sh", &[HOST]),
    told("the-hosts-folder-by-the-box", Exec, "busybox chroot /host sh", &[HOST]),
    told(
        "the-hosts-folder-from-within",
        Exec,
        "mkdir -p /host; cd /host; chroot . sh",
        &[HOST],
    ),
    told(
        "the-engine-by-its-socket",
        Exec,
        "curl --unix-socket /var/run/docker.sock http://x/containers/json",
        &[ENGINE],
    ),
    told(
        "the-engine-behind-an-innocent-address",
        Exec,
        "curl --unix-socket /var/run/docker.sock http://x/containers/create http://x/version",
        &[ENGINE],
    ),
    told(
        "the-engine-in-a-language",
        Exec,
        "python3.11 -c 's.connect(\"/run/containerd/containerd.sock\")'",
        &[ENGINE],
    ),
    told(
        "a-container-with-the-disk",
        Exec,
        "docker run -v /:/host alpine",
        &[ENGINE],
    ),
    told(
        "a-container-with-the-disk-by-mount",
        Exec,
        "docker run --mount type=bind,source=/,target=/host alpine",
        &[ENGINE],
    ),
    told(
        "control-groups-aside",
        Exec,
        "mount -t cgroup -o rdma cgroup /tmp/c",
        &[KERNEL],
    ),
    told(
        "control-groups-aside-in-another-order",
        Exec,
        "mount -o pids -t cgroup none /tmp/c",
        &[KERNEL],
    ),
    told(
        "a-program-for-crashes",
        Exec,
        "sysctl -w 'kernel.core_pattern=|/tmp/x'",
        &[KERNEL],
    ),
    told(
        "a-program-for-crashes-by-a-file",
        Exec,
        "tee /proc/sys/kernel/core_pattern </dev/null",
        &[KERNEL],
    ),
    told("a-module", Exec, "insmod /tmp/x.ko", &[KERNEL_CHANGED]),
    told(
        "a-module-by-the-box",
        Exec,
        "busybox insmod /tmp/x.ko",
        &[KERNEL_CHANGED],
    ),
    told("a-user-namespace", Exec, "unshare -Ur sh", &[NAMESPACE]),
    told("a-namespace-of-processes", Exec, "unshare -p -f sh", &[NAMESPACE]),
    told("a-firewall-emptied", Exec, "iptables -F", &[KERNEL_CHANGED]),
];
