//! Its first thread ends at once; another one ends the process with status 7 once that is so.

use std::ffi::c_long;
use std::fs;
use std::thread;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// `exit` of x86-64: ends the calling thread alone.
const EXIT: c_long = 60;

fn main() {
    let own = std::process::id();
    thread::spawn(move || {
        let has_ended = || {
            let status = fs::read_to_string(format!("/proc/{own}/task/{own}/stat")).expect("the thread is there");
            status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        };
        while !has_ended() {
            thread::yield_now();
        }
        std::process::exit(7);
    });
    // SAFETY: ends this thread, which has borrowed nothing to the other.
    unsafe { syscall(EXIT, 0 as c_long) };
}
