//! `paced COUNT RATE PROGRAM NAME`: starts the program that many times, RATE times a second, each with the name and its
//! number as argument. Each prints that and the time in nanoseconds since 1970 right before its exec.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, rate, program, name] = arguments.as_slice() else {
        panic!("usage: paced COUNT RATE PROGRAM NAME");
    };
    let count: u32 = count.parse().expect("COUNT is a number");
    let interval = Duration::from_secs(1) / rate.parse::<u32>().expect("RATE is a number");
    let begin = Instant::now();
    for number in 0..count {
        sleep((begin + interval * number).saturating_duration_since(Instant::now()));
        let mut command = Command::new(program);
        command.arg(format!("{name}-{number}"));
        let name = name.clone();
        let announce = move || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
            writeln!(std::io::stdout(), "{name}-{number} {}", now.as_nanos())
        };
        // SAFETY: this program has one thread, so nothing holds a lock across the fork.
        unsafe { command.pre_exec(announce) };
        let status = command.status().expect("the program starts");
        assert!(status.success(), "`{program}` failed");
    }
}
