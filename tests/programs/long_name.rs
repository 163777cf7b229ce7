//! `long_name FOLDER PROGRAM BYTES ARGUMENT`: mounts a file system of its own (FUSE) on the folder, in which every name is
//! that program, and runs it under a name of so many bytes. For x86-64.

use std::env;
use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::thread;

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
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const HEADER: usize = 40;

const ROOT: u64 = 1;
const FILE: u64 = 2;
const NOT_SUPPORTED: i32 = -38;
const LONG_TIME: u64 = 3600;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, program, bytes, argument] = &arguments[..] else {
        panic!("usage: long_name FOLDER PROGRAM BYTES ARGUMENT");
    };
    let content = fs::read(program).expect("the program");
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let text = |text: String| CString::new(text).expect("no zero byte");
    let (kind, target) = (text("fuse".to_owned()), text(folder.clone()));
    let options = text(format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd()));
    let options = options.as_ptr().cast();
    assert_eq!(unsafe { mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), 0, options) }, 0);
    thread::spawn(move || serve(device, &content));
    let name = "n".repeat(bytes.parse().expect("a number"));
    let status = Command::new(Path::new(folder).join(name)).arg(argument).status().expect("the program runs");
    assert!(status.success());
}

/// Answers the kernel until the file system is gone.
fn serve(mut device: File, content: &[u8]) {
    let mut request = vec![0; 1 << 20];
    while let Ok(length) = device.read(&mut request) {
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight bytes"));
        assert!(length >= HEADER);
        let node = long(16);
        let (error, answer) = match number(4) {
            FORGET => continue,
            INIT => (0, init()),
            LOOKUP => (0, [words(&[FILE, 0, LONG_TIME, LONG_TIME, 0]), attributes(FILE, content.len())].concat()),
            GETATTR => (0, [words(&[LONG_TIME, 0]), attributes(node, content.len())].concat()),
            OPEN => (0, words(&[0, 0])),
            READ => {
                let begin = (long(HEADER + 8) as usize).min(content.len());
                let end = (begin + number(HEADER + 16) as usize).min(content.len());
                (0, content[begin..end].to_vec())
            }
            RELEASE | FLUSH => (0, Vec::new()),
            _ => (NOT_SUPPORTED, Vec::new()),
        };
        let mut reply = Vec::new();
        reply.extend((16 + answer.len() as u32).to_ne_bytes());
        reply.extend(i32::to_ne_bytes(error));
        reply.extend(&request[8..16]);
        reply.extend(answer);
        // The kernel may have given the request up.
        let _ = device.write(&reply);
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
