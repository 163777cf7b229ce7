//! `long_name FOLDER PROGRAM BYTES ARGUMENT`: mounts a file system of its own (FUSE) on the folder, in which every name is
//! that program, and runs it under a name of so many bytes.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

mod fuse;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, program, bytes, argument] = &arguments[..] else {
        panic!("usage: long_name FOLDER PROGRAM BYTES ARGUMENT");
    };
    let content = fs::read(program).expect("the program");
    let device = fuse::mount_on(folder);
    thread::spawn(move || fuse::serve(device, &content, || {}));
    let name = "n".repeat(bytes.parse().expect("a number"));
    let status = Command::new(Path::new(folder).join(name)).arg(argument).status().expect("the program runs");
    assert!(status.success());
}
