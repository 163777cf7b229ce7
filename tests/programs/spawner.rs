//! `spawner COUNT PROGRAM`: starts the program that many times, one after the other, and prints how many nanoseconds it
//! took.

use std::process::Command;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, program] = arguments.as_slice() else {
        panic!("usage: spawner COUNT PROGRAM");
    };
    let count: u32 = count.parse().expect("COUNT is a number");
    let mut command = Command::new(program);
    let begin = Instant::now();
    for _ in 0..count {
        let status = command.status().expect("the program starts");
        assert!(status.success(), "`{program}` failed");
    }
    println!("{}", begin.elapsed().as_nanos());
}
