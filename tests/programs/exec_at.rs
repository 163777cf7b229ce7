//! `exec_at NUMBER PROGRAM`: prints the number and the time in nanoseconds since 1970, then becomes the program with the
//! number as its argument. So the time is that of the exec, without the fork before it.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [number, program] = arguments.as_slice() else {
        panic!("usage: exec_at NUMBER PROGRAM");
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    println!("{number} {}", now.as_nanos());
    panic!("could not become `{program}`: {}", Command::new(program).arg(number).exec());
}
