//! What of this host decides how much a role needs, tried out by a thread without capabilities.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use caps::{CapSet, Capability};
use nix::unistd::{AccessFlags, access};

use super::capabilities;
use super::mode::Places;

/// Entries of a folder that are looked at.
const ENTRIES_AT_MOST: usize = 1000;
const MAP_LOOKUP_ELEMENT: libc::c_int = 1;
/// The size of what that command takes.
const ELEMENT_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// What this kernel wants for reading eBPF maps, as those before 5.19 do where unprivileged eBPF is off.
    pub(super) bpf: Option<Capability>,
    /// Other users' processes are not shown in `/proc` (`hidepid`).
    pub(super) processes_are_hidden: bool,
    /// A folder of the sensor, or a file in one, is another user's.
    pub(super) folders_are_anothers: bool,
    pub(super) engines_are_in_processes: bool,
}

impl Needs {
    pub(super) fn find(places: &Places) -> Self {
        let may = |capability| caps::has_cap(None, CapSet::Permitted, capability).unwrap_or(false);
        let look = || {
            if capabilities::keep(Vec::new()).is_err() {
                return Needs::default();
            }
            let bpf = match may_read_maps() {
                true => None,
                false => Some(Capability::CAP_BPF),
            };
            Needs {
                bpf,
                processes_are_hidden: fs::metadata("/proc/1/stat").is_err(),
                folders_are_anothers: places.folders.iter().any(|folder| !is_writable(folder)),
                engines_are_in_processes: places.engines_are_in_processes,
            }
        };
        let found = thread::scope(|scope| scope.spawn(look).join()).unwrap_or_default();
        Needs {
            bpf: found.bpf.map(|bpf| match may(bpf) {
                true => bpf,
                false => Capability::CAP_SYS_ADMIN,
            }),
            ..found
        }
    }
}

/// Whether the calling thread may ask for elements of a map.
fn may_read_maps() -> bool {
    let mut element = [0_u8; ELEMENT_BYTES];
    // No map: where the command is permitted, that is what is wrong.
    element[..size_of::<i32>()].copy_from_slice(&(-1_i32).to_ne_bytes());
    // SAFETY: the kernel reads no more than so many bytes, which outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, MAP_LOOKUP_ELEMENT, element.as_ptr(), ELEMENT_BYTES) };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EPERM)
}

/// Whether the folder can be written, and what is in it; one that is not there is made by this process.
fn is_writable(folder: &Path) -> bool {
    let may = |path: &Path| access(path, AccessFlags::W_OK) != Err(nix::errno::Errno::EACCES);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    may(folder) && entries.take(ENTRIES_AT_MOST).all(|entry| may(&entry.path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_writable_and_one_of_no_rights_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let find = |path: &Path| {
            let places = Places {
                folders: vec![path.to_owned()],
                ..Places::default()
            };
            Needs::find(&places).folders_are_anothers
        };
        assert!(!find(folder.path()));
        assert!(!find(&folder.path().join("missing")));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(find(folder.path()));
    }
}
