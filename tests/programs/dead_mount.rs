//! `dead_mount FOLDER`: mounts a file system of its own there, runs a program from it, and then answers nothing any more:
//! who asks for a file waits until this is killed. It says `dead` then.

use std::env;
use std::ffi::{CString, c_char, c_int, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

unsafe extern "C" {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int;
}

// Numbers of `linux/fuse.h`.
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const WITHOUT_ANSWER: [u32; 3] = [2, 36, 42];
const ENOSYS: i32 = 38;
const IN_HEADER: usize = 40;
/// The longest request.
const REQUEST: usize = 1 << 20;
const ROOT: u64 = 1;
const PROGRAM: u64 = 2;

fn main() {
    let argument = env::args().nth(1).expect("usage: dead_mount FOLDER");
    if argument == "wait" {
        println!("ready");
        wait();
    }
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let text = |text: &str| CString::new(text).expect("no zero byte");
    let (name, folder, options) = (text("fuse"), text(&argument), text(&options));
    // SAFETY: texts that outlive the call.
    let result = unsafe { mount(name.as_ptr(), folder.as_ptr(), name.as_ptr(), 0, options.as_ptr().cast()) };
    assert_eq!(result, 0, "cannot mount: {}", io::Error::last_os_error());

    let is_dead = Arc::new(AtomicBool::new(false));
    let dead = Arc::clone(&is_dead);
    thread::spawn(move || serve(device, &fs::read("/proc/self/exe").expect("itself"), &dead));
    let mut child = Command::new(format!("{argument}/program"));
    let mut child = child.arg("wait").stdout(Stdio::piped()).spawn().expect("a program");
    let mut ready = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut ready).expect("a word of the program");
    is_dead.store(true, Ordering::SeqCst);
    println!("dead");
    wait()
}

fn wait() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Answers what is asked of a folder with one program, until it is dead; keeps the device.
fn serve(mut device: File, program: &[u8], is_dead: &AtomicBool) {
    let mut request = vec![0; REQUEST];
    while let Ok(length) = device.read(&mut request) {
        if is_dead.load(Ordering::SeqCst) {
            wait();
        }
        let number = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight bytes"));
        let operation = (number(0) >> 32) as u32;
        let (unique, node, body) = (number(8), number(16), &request[IN_HEADER..length]);
        if WITHOUT_ANSWER.contains(&operation) {
            continue;
        }
        let answer = match operation {
            INIT => Ok(init()),
            // A name of another file is not asked for.
            LOOKUP => Ok([words(&[PROGRAM, 0, 0, 0, 0]), attributes(PROGRAM, program)].concat()),
            GETATTR => Ok([words(&[0, 0]), attributes(node, program)].concat()),
            OPEN | OPENDIR => Ok(words(&[0, 0])),
            READ => {
                let word = |at: usize| u64::from_ne_bytes(body[at..at + 8].try_into().expect("eight bytes"));
                let begin = (word(8) as usize).min(program.len());
                let end = (begin + (word(16) as u32) as usize).min(program.len());
                Ok(program[begin..end].to_vec())
            }
            _ => Err(-ENOSYS),
        };
        let (error, bytes) = match answer {
            Ok(bytes) => (0, bytes),
            Err(error) => (error, Vec::new()),
        };
        let length = (16 + bytes.len()) as u32;
        let head = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes()].concat();
        let _ = device.write_all(&[head, bytes].concat());
    }
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct fuse_init_out`: version 7.31, and no feature.
fn init() -> Vec<u8> {
    let mut answer = vec![0; 64];
    answer[..8].copy_from_slice(&[7_u32.to_ne_bytes(), 31_u32.to_ne_bytes()].concat());
    answer[20..24].copy_from_slice(&4096_u32.to_ne_bytes());
    answer
}

/// `struct fuse_attr`.
fn attributes(node: u64, program: &[u8]) -> Vec<u8> {
    let (size, mode, links) = match node {
        ROOT => (0, 0o040_755, 2),
        _ => (program.len() as u64, 0o100_755, 1_u32),
    };
    let numbers = [0, 0, 0, mode, links, 0, 0, 0, 4096, 0_u32];
    let numbers = numbers.iter().flat_map(|number| number.to_ne_bytes());
    words(&[node, size, size.div_ceil(512), 0, 0, 0]).into_iter().chain(numbers).collect()
}
