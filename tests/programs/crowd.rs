//! `crowd PROCESSES BATCH`: makes so many processes, says `ready`, and for each line that it reads has the next batch of
//! them end.

use std::env;
use std::ffi::c_int;
use std::io;

unsafe extern "C" {
    fn fork() -> c_int;
    fn pause() -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
}

const SIGKILL: c_int = 9;

fn main() {
    let numbers: Vec<usize> = env::args().skip(1).map(|number| number.parse().expect("a number")).collect();
    let [processes, batch] = numbers[..] else {
        panic!("usage: crowd PROCESSES BATCH");
    };
    let mut crowd = Vec::with_capacity(processes);
    for _ in 0..processes {
        match unsafe { fork() } {
            0 => loop {
                unsafe { pause() };
            },
            child => crowd.push(child),
        }
    }
    assert!(crowd.iter().all(|child| *child > 0), "a process could not be made");
    println!("ready");
    for (ending, _) in crowd.chunks(batch).zip(io::stdin().lines()) {
        for child in ending {
            assert_eq!(unsafe { kill(*child, SIGKILL) }, 0);
            assert_eq!(unsafe { waitpid(*child, std::ptr::null_mut(), 0) }, *child);
        }
    }
}
