//! What `bpf(2)` can do and the loader does not offer.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Of `enum bpf_cmd`.
const MAP_LOOKUP_ELEMENT: libc::c_int = 1;
const MAP_FREEZE: libc::c_int = 22;

/// The part of `union bpf_attr` that is about the elements of a map.
#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Makes a map unchangeable through system calls, by anybody and for good (Linux 5.2 and later). Programs go on writing
/// it.
///
/// # Errors
/// Somebody has it mapped writable, it is frozen already, or a privilege is missing.
pub(super) fn freeze_map(map: impl AsFd) -> io::Result<()> {
    call(
        MAP_FREEZE,
        MapElement {
            map: map.as_fd().as_raw_fd().cast_unsigned(),
            padding: 0,
            key: 0,
            value: 0,
            flags: 0,
        },
    )
}

/// The number of the program at an index of a program array (Linux 4.13 and later).
///
/// # Errors
/// There is none.
pub(super) fn called_program(map: impl AsFd, index: u32) -> io::Result<u32> {
    let mut program = 0_u32;
    call(
        MAP_LOOKUP_ELEMENT,
        MapElement {
            map: map.as_fd().as_raw_fd().cast_unsigned(),
            padding: 0,
            key: (&raw const index).expose_provenance() as u64,
            value: (&raw mut program).expose_provenance() as u64,
            flags: 0,
        },
    )?;
    Ok(program)
}

/// `element` points to what the command reads and writes.
fn call(command: libc::c_int, element: MapElement) -> io::Result<()> {
    // SAFETY: the kernel reads `element`, which is as long as stated, and what it points to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const element, size_of::<MapElement>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
