//! `dead_mount FOLDER`: mounts a file system of its own there, runs a program from it, and then answers nothing any more:
//! who asks for a file waits until this is killed. It says `dead` then.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

mod fuse;

fn main() {
    let argument = env::args().nth(1).expect("usage: dead_mount FOLDER");
    if argument == "wait" {
        println!("ready");
        wait();
    }
    let device = fuse::mount_on(&argument);
    let is_dead = Arc::new(AtomicBool::new(false));
    let dead = Arc::clone(&is_dead);
    thread::spawn(move || {
        let program = fs::read("/proc/self/exe").expect("itself");
        fuse::serve(device, &program, || {
            if dead.load(Ordering::SeqCst) {
                wait();
            }
        });
    });
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
