//! Whether a program is a multi-call program, by what is in its file.

use std::fs::File;
use std::io::{self, Read};

use memchr::memmem;
use sensor_abi::HEADER_AT;

use crate::process::{Header, ProcessKey};

/// How much of a file is looked through.
const LIMIT: u64 = 4 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
const HEADER_END: usize = HEADER_AT + size_of::<Header>();

/// Texts of which each kind has both.
const KINDS: [[&[u8]; 2]; 4] = [
    [b"BusyBox v", b"applet not found"],
    [b"Toybox ", b"multicall binary"],
    [b"--coreutils-prog=", b"coreutils-prog-shebang"],
    [b"coreutils ", b"(multi-call binary)"],
];
/// The longest of them may lie in two chunks.
const OVERLAP: usize = 32;

/// Whether the program that a process runs is one; `None` if it runs another than the one with this header by now.
pub(super) fn read(process: ProcessKey, header: Header) -> Option<bool> {
    let program = File::open(format!("/proc/{}/exe", process.pid)).ok()?;
    is_box(program, header).ok()?
}

fn is_box(program: impl Read, header: Header) -> io::Result<Option<bool>> {
    let mut rest = program.take(LIMIT);
    let mut bytes = Vec::with_capacity(OVERLAP + CHUNK);
    let mut found = [[false; 2]; KINDS.len()];
    let mut is_first = true;
    loop {
        let kept = bytes.len().min(OVERLAP);
        bytes.drain(..bytes.len() - kept);
        if rest.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(Some(false));
        }
        if is_first && header_of(&bytes) != Some(header) {
            return Ok(None);
        }
        is_first = false;
        for (text, found) in KINDS.iter().flatten().zip(found.iter_mut().flatten()) {
            *found = *found || memmem::find(&bytes, text).is_some();
        }
        if found.contains(&[true; 2]) {
            return Ok(Some(true));
        }
    }
}

fn header_of(bytes: &[u8]) -> Option<Header> {
    let mut header = Header::default();
    let numbers = bytes.get(HEADER_AT..HEADER_END)?.chunks_exact(size_of::<u64>());
    for (number, bytes) in header.iter_mut().zip(numbers) {
        *number = u64::from_ne_bytes(bytes.try_into().ok()?);
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = [0x0102_0304, 64, 7];

    fn program(texts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![b'.'; 3 * CHUNK];
        for (number, place) in HEADER.iter().zip(bytes[HEADER_AT..HEADER_END].chunks_exact_mut(8)) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        for (at, text) in texts {
            bytes[*at..*at + text.len()].copy_from_slice(text);
        }
        bytes
    }

    #[test]
    fn a_box_is_known_by_its_texts_wherever_they_are() {
        let judged = |texts: &[(usize, &[u8])]| is_box(&*program(texts), HEADER).unwrap();
        assert_eq!(judged(&[]), Some(false));
        assert_eq!(
            judged(&[(100, b"BusyBox v1.36"), (200, b"multicall binary")]),
            Some(false)
        );
        for [one, other] in KINDS {
            // At the edges of chunks too.
            for at in [100, CHUNK - 5, 2 * CHUNK - 1, 3 * CHUNK - other.len()] {
                assert_eq!(judged(&[(60, one), (at, other)]), Some(true), "{at}");
            }
            assert!(one.len().max(other.len()) <= OVERLAP);
        }
        let texts: [(usize, &[u8]); 2] = [(100, b"BusyBox v1.36"), (200, b"applet not found")];
        assert_eq!(is_box(&*program(&texts), [0x0102_0304, 64, 8]).unwrap(), None);
        assert_eq!(is_box(&b"#!"[..], HEADER).unwrap(), None);
    }

    #[test]
    fn this_systems_own_box_is_one_and_its_shell_is_not() {
        for (path, expected) in [("/bin/busybox", true), ("/bin/bash", false)] {
            let Ok(bytes) = std::fs::read(path) else { continue };
            let header = header_of(&bytes).unwrap();
            assert_eq!(is_box(&*bytes, header).unwrap(), Some(expected), "{path}");
        }
    }
}
