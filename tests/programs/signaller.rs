//! `signaller PID SIGNAL TIMES`: sends a process a signal, by the system call for its first thread, as often as it is
//! told to. For x86-64.

use std::env;
use std::ffi::{c_int, c_long};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

const SYSTEM_CALL_TGKILL: c_long = 234;

fn main() {
    let numbers: Vec<c_int> = env::args().skip(1).map(|number| number.parse().expect("a number")).collect();
    let [process, signal, times] = numbers[..] else {
        panic!("usage: signaller PID SIGNAL TIMES");
    };
    for _ in 0..times {
        assert_eq!(unsafe { syscall(SYSTEM_CALL_TGKILL, process, process, signal) }, 0);
    }
}
