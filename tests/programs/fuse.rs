//! A file system of a program's own (FUSE): one folder in which every name is the same program. For x86-64.

use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
}

// Of include/uapi/linux/fuse.h.
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const WITHOUT_ANSWER: [u32; 3] = [2, 36, 42];
const HEADER: usize = 40;
/// The longest request.
const REQUEST: usize = 1 << 20;
const NOT_SUPPORTED: i32 = -38;
const ROOT: u64 = 1;
const PROGRAM: u64 = 2;

/// Mounts it on the folder; gives the device through which the kernel asks.
pub fn mount_on(folder: &str) -> File {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let text = |text: &str| CString::new(text).expect("no zero byte");
    let (kind, folder, options) = (text("fuse"), text(folder), text(&options));
    // SAFETY: texts that outlive the call.
    let result = unsafe { mount(kind.as_ptr(), folder.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    assert_eq!(result, 0, "cannot mount: {}", io::Error::last_os_error());
    device
}

/// Answers the kernel until the file system is gone; `before` is called before each answer. The kernel keeps no answer, so
/// each look asks again.
pub fn serve(mut device: File, program: &[u8], before: impl Fn()) {
    let mut request = vec![0; REQUEST];
    while let Ok(length) = device.read(&mut request) {
        assert!(length >= HEADER);
        before();
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight bytes"));
        let operation = number(4);
        if WITHOUT_ANSWER.contains(&operation) {
            continue;
        }
        let (error, answer) = match operation {
            INIT => (0, init()),
            LOOKUP => (0, [words(&[PROGRAM, 0, 0, 0, 0]), attributes(PROGRAM, program.len())].concat()),
            GETATTR => (0, [words(&[0, 0]), attributes(long(16), program.len())].concat()),
            OPEN | OPENDIR => (0, words(&[0, 0])),
            READ => {
                let begin = (long(HEADER + 8) as usize).min(program.len());
                let end = (begin + number(HEADER + 16) as usize).min(program.len());
                (0, program[begin..end].to_vec())
            }
            _ => (NOT_SUPPORTED, Vec::new()),
        };
        let length = 16 + answer.len() as u32;
        let head = [&length.to_ne_bytes()[..], &i32::to_ne_bytes(error), &request[8..16]].concat();
        // The kernel may have given the request up.
        let _ = device.write(&[head, answer].concat());
    }
}

/// Version 7.31, with one page a request and nothing special.
fn init() -> Vec<u8> {
    let mut answer = [7_u32, 31, 0, 0, 0, 65536, 1].map(u32::to_ne_bytes).concat();
    answer.resize(64, 0);
    answer
}

fn attributes(node: u64, size: usize) -> Vec<u8> {
    let (mode, size) = if node == ROOT { (0o040_755, 0) } else { (0o100_755, size as u64) };
    let mut answer = words(&[node, size, size.div_ceil(512), 0, 0, 0]);
    answer.extend([0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat());
    answer
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
