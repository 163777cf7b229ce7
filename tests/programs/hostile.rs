//! `hostile WAY ARGUMENT..`: starts a program, or many, in a way that a sensor may trip over; the ways are in `main`.
//! Paths and arguments come and go as bytes.

use std::ffi::{CString, OsString, c_char, c_int, c_uint};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn execve(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int;
    fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
    fn fork() -> c_int;
    fn wait(status: *mut c_int) -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
}

/// Long enough that copying it takes the kernel a while, and short enough to be one argument.
const LONG: usize = 100_000;
/// So that three fit into what is kept of an event's arguments, and all into the ring buffer.
const RATHER_LONG: usize = 10_000;
const KILLED: u32 = 200;
/// The last one is killed after 2 ms, when its program has begun.
const KILLED_LATER_EACH: Duration = Duration::from_micros(10);

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (way, rest) = arguments.split_first().expect("usage: hostile WAY ARGUMENT..");
    match way.to_str().expect("the way is UTF-8") {
        "without-arguments" => without_arguments(&rest[0]),
        "from-memory" => from_memory(&rest[0], &rest[1]),
        "changing" => changing(&rest[0]),
        "tell" => tell(&rest[0]),
        "deep-down" => deep_down(rest[0].to_str().and_then(|depth| depth.parse().ok()).expect("a depth"), &rest[1..]),
        "further-down" => further_down(&rest[0], &rest[1]),
        "bomb" => bomb(rest[0].to_str().and_then(|depth| depth.parse().ok()).expect("a depth")),
        "killed-at-exec" => killed_at_exec(&rest[0]),
        "until-no-more" => until_no_more(),
        other => panic!("no way `{other}`"),
    }
}

/// Becomes a program whose list of arguments is empty.
fn without_arguments(program: &OsString) {
    let path = CString::new(program.as_bytes()).expect("no zero byte");
    let nothing = [std::ptr::null()];
    // SAFETY: a path, and two lists that end at once.
    unsafe { execve(path.as_ptr(), nothing.as_ptr(), nothing.as_ptr()) };
    panic!("could not become `{}`", program.display());
}

/// Becomes a copy of a program that is in no directory.
fn from_memory(program: &OsString, argument: &OsString) {
    // SAFETY: a name.
    let descriptor = unsafe { memfd_create(c"hidden".as_ptr(), 0) };
    let path = format!("/proc/self/fd/{descriptor}");
    fs::write(&path, fs::read(program).expect("the program can be read")).expect("memory can be written");
    panic!("could not become it: {}", Command::new(path).arg(argument).exec());
}

/// Becomes `tell FILE` with an argument that another thread keeps changing meanwhile.
fn changing(file: &OsString) {
    static CHANGING: [AtomicU8; LONG + 1] = {
        let mut text = [const { AtomicU8::new(b'a') }; LONG + 1];
        text[LONG] = AtomicU8::new(0);
        text
    };
    thread::spawn(|| {
        for letter in (b'a'..=b'z').cycle() {
            for byte in &CHANGING[..LONG] {
                byte.store(letter, Ordering::Relaxed);
            }
        }
    });
    let own = CString::new(std::env::current_exe().expect("a name").into_os_string().into_vec()).expect("no zero byte");
    let file = CString::new(file.as_bytes()).expect("no zero byte");
    let list = [
        own.as_ptr(),
        c"tell".as_ptr(),
        file.as_ptr(),
        CHANGING.as_ptr().cast(),
        std::ptr::null(),
    ];
    // Once the other thread is at work.
    while CHANGING[0].load(Ordering::Relaxed) == b'a' {}
    // SAFETY: lists of texts that end in zero, as the last byte of `CHANGING` always is.
    unsafe { execve(own.as_ptr(), list.as_ptr(), [std::ptr::null()].as_ptr()) };
    panic!("could not become itself");
}

/// Writes its last argument to a file: what this process was really given.
fn tell(file: &OsString) {
    let last = std::env::args_os().next_back().expect("an argument");
    fs::write(file, last.as_bytes()).expect("the file can be written");
}

/// Becomes a copy of a program, `beyond`, in a new folder below the working directory.
fn further_down(folder: &OsString, program: &OsString) {
    fs::create_dir(folder).expect("the folder can be made");
    std::env::set_current_dir(folder).expect("it can be entered");
    fs::copy(program, "beyond").expect("the program can be copied");
    panic!("could not become it: {}", Command::new("./beyond").exec());
}

/// Goes down `depth` new folders from the working directory and becomes a program there: the one at a path, or a
/// copy of it under a name.
fn deep_down(depth: u32, program: &[OsString]) {
    for _ in 0..depth {
        let _ = fs::create_dir("d");
        std::env::set_current_dir("d").expect("it can be entered");
    }
    let mut path = program[0].clone();
    if let Some(name) = program.get(1) {
        fs::copy(&path, name).expect("the program can be copied");
        path = [OsString::from("./"), name.clone()].into_iter().collect();
    }
    panic!("could not become it: {}", Command::new(path).exec());
}

/// Doubles `depth` times, and waits for all.
fn bomb(depth: u32) {
    if depth == 0 {
        return;
    }
    for _ in 0..2 {
        // SAFETY: this program has one thread.
        match unsafe { fork() } {
            0 => return bomb(depth - 1),
            child => assert!(child > 0, "no process more"),
        }
    }
    // SAFETY: no status is asked for.
    while unsafe { wait(std::ptr::null_mut()) } > 0 {}
}

/// Starts a program with long arguments again and again, and kills each at another moment of its start.
fn killed_at_exec(program: &OsString) {
    const SIGKILL: c_int = 9;
    let path = CString::new(program.as_bytes()).expect("no zero byte");
    let argument = CString::new("x".repeat(RATHER_LONG)).expect("no zero byte");
    let argument = argument.as_ptr();
    let list = [path.as_ptr(), argument, argument, argument, std::ptr::null()];
    for number in 0..KILLED {
        // SAFETY: this program has one thread; lists of texts that end in zero.
        let child = unsafe {
            match fork() {
                0 => {
                    execve(path.as_ptr(), list.as_ptr(), [std::ptr::null()].as_ptr());
                    panic!("could not become it");
                }
                child => child,
            }
        };
        assert!(child > 0, "no process more");
        let begin = Instant::now();
        while begin.elapsed() < number * KILLED_LATER_EACH {
            std::hint::spin_loop();
        }
        // SAFETY: numbers, and no status is asked for.
        unsafe {
            kill(child, SIGKILL);
            wait(std::ptr::null_mut());
        }
    }
}

/// Starts processes that wait until the kernel gives no more; prints how many it gave.
fn until_no_more() {
    let mut children = Vec::new();
    while let Ok(child) = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn() {
        children.push(child);
    }
    println!("{}", children.len());
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}
