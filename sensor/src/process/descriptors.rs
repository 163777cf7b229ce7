//! What a process reads from and writes to as its program begins: `tidewaiter.process.descriptors`.

use libc::{AF_UNIX, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK};
use sensor_abi::Descriptor;

use super::terminal::device_numbers;

const UNIX_FAMILY: u32 = AF_UNIX as u32;
/// `/dev/null` by its numbers.
const NULL: (u32, u32) = (1, 3);
/// Virtual consoles and serial lines, `/dev/tty` and `/dev/console`, and pseudo-terminals (`UNIX98_PTY_SLAVE_MAJOR`). A
/// terminal of another driver is known as one only where it is the controlling one.
const TERMINALS: [std::ops::RangeInclusive<u32>; 2] = [4..=5, 136..=143];

/// A kind of file that a descriptor is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DescriptorKind {
    Closed,
    Terminal,
    Null,
    Device,
    Pipe,
    /// Of any family but the one of this machine alone.
    Socket,
    UnixSocket,
    File,
    Directory,
    /// What has no type: an `eventfd` and its like.
    Other,
}

/// The words for a kind, one for each descriptor.
macro_rules! numbered {
    ($kind:literal) => {
        [concat!("0:", $kind), concat!("1:", $kind), concat!("2:", $kind)]
    };
}

impl DescriptorKind {
    /// Of a descriptor of a process that has this controlling terminal.
    pub(super) fn new(descriptor: &Descriptor, terminal: u32) -> Self {
        let device = descriptor.device;
        let (major, _) = device_numbers(device);
        match descriptor.mode & S_IFMT {
            _ if descriptor.mode == 0 => DescriptorKind::Closed,
            S_IFCHR if device_numbers(device) == NULL => DescriptorKind::Null,
            S_IFCHR if device == terminal || TERMINALS.iter().any(|majors| majors.contains(&major)) => {
                DescriptorKind::Terminal
            }
            S_IFCHR | S_IFBLK => DescriptorKind::Device,
            S_IFIFO => DescriptorKind::Pipe,
            S_IFSOCK if device == UNIX_FAMILY => DescriptorKind::UnixSocket,
            S_IFSOCK => DescriptorKind::Socket,
            S_IFREG => DescriptorKind::File,
            S_IFDIR => DescriptorKind::Directory,
            _ => DescriptorKind::Other,
        }
    }

    fn numbered(self) -> [&'static str; 3] {
        match self {
            DescriptorKind::Closed => numbered!("closed"),
            DescriptorKind::Terminal => numbered!("terminal"),
            DescriptorKind::Null => numbered!("null"),
            DescriptorKind::Device => numbered!("device"),
            DescriptorKind::Pipe => numbered!("pipe"),
            DescriptorKind::Socket => numbered!("socket"),
            DescriptorKind::UnixSocket => numbered!("unix_socket"),
            DescriptorKind::File => numbered!("file"),
            DescriptorKind::Directory => numbered!("directory"),
            DescriptorKind::Other => numbered!("other"),
        }
    }
}

/// The values of the field: `0:terminal` and so on.
pub(crate) fn descriptor_names(kinds: [DescriptorKind; 3]) -> impl Iterator<Item = &'static str> {
    kinds
        .into_iter()
        .enumerate()
        .filter_map(|(number, kind)| kind.numbered().get(number).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_told_by_its_files_type_device_and_family() {
        let serial_adapter = 188 << 20;
        for (mode, device, expected) in [
            (0, 0, "0:closed"),
            (S_IFCHR | 0o620, 136 << 20 | 3, "0:terminal"),
            (S_IFCHR | 0o620, 5 << 20, "0:terminal"),
            (S_IFCHR | 0o660, serial_adapter, "0:terminal"),
            (S_IFCHR | 0o660, serial_adapter | 1, "0:device"),
            (S_IFCHR | 0o666, 1 << 20 | 3, "0:null"),
            (S_IFCHR | 0o666, 1 << 20 | 5, "0:device"),
            (S_IFBLK | 0o660, 8 << 20, "0:device"),
            (S_IFIFO | 0o600, 0, "0:pipe"),
            (S_IFSOCK | 0o777, 1, "0:unix_socket"),
            (S_IFSOCK | 0o777, 2, "0:socket"),
            (S_IFSOCK | 0o777, 40, "0:socket"),
            (S_IFREG | 0o644, 0, "0:file"),
            (S_IFDIR | 0o755, 0, "0:directory"),
            (0o600, 0, "0:other"),
        ] {
            let kind = DescriptorKind::new(&Descriptor { mode, device }, serial_adapter);
            assert_eq!(descriptor_names([kind; 3]).next(), Some(expected));
        }
    }

    #[test]
    fn each_of_the_three_has_its_number() {
        let kinds = [DescriptorKind::Socket, DescriptorKind::Pipe, DescriptorKind::Null];
        assert_eq!(
            descriptor_names(kinds).collect::<Vec<_>>(),
            ["0:socket", "1:pipe", "2:null"]
        );
    }
}
