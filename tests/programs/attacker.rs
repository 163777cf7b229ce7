//! `attacker WAY NUMBER..`: works against a sensor's memory as fast as it can until it is killed, or its parent ends. It
//! prints a line after each round. The ways are in `main`; `tests/src/attack.rs` says what each is for.

use std::ffi::{c_int, c_ulong};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

unsafe extern "C" {
    fn fork() -> c_int;
    fn kill(process: c_int, signal: c_int) -> c_int;
    fn pause() -> c_int;
    fn prctl(option: c_int, signal: c_ulong) -> c_int;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
}

const PR_SET_PDEATHSIG: c_int = 1;
const SIGKILL: c_int = 9;
/// Names under which this program runs what it starts.
const ENDS: &str = "ends";
const STAYS: &str = "stays";
const PARENT: &str = "parent";
/// The longest name of a folder, and how many of them make the longest path.
const FOLDER_BYTES: usize = 250;
const FOLDERS: usize = 16;
const PATH_BYTES: usize = 4095;

fn main() {
    // SAFETY: a number; it holds for this process and what it becomes.
    unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL as c_ulong) };
    let arguments: Vec<String> = std::env::args().collect();
    match arguments[0].as_str() {
        ENDS => return,
        STAYS => loop {
            thread::park();
        },
        PARENT => one_after_the_other(&mut this(ENDS)),
        _ => {}
    }
    let number = |position: usize| -> usize { arguments[position].parse().expect("a number") };
    match arguments[1].as_str() {
        "arguments" => {
            for _ in 1..number(4) {
                let (count, letters) = (number(2), number(3));
                thread::spawn(move || many_arguments(count, letters));
            }
            many_arguments(number(2), number(3));
        }
        "children" => {
            let mut parent = this(PARENT);
            let many = vec!["x".repeat(number(3)); number(2)];
            let error = parent.args(many).stdout(Stdio::inherit()).exec();
            panic!("{error}");
        }
        "environment" => long_environment(number(2), number(3)),
        "paths" => long_paths(number(2)),
        "forks" => forks(number(2)),
        "names" => ever_other_names(number(2)),
        other => panic!("no way `{other}`"),
    }
}

/// This program under a name, without the environment.
fn this(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Programs with so many arguments of so many letters, one after the other.
fn many_arguments(count: usize, letters: usize) {
    let mut program = this(ENDS);
    one_after_the_other(program.args(vec!["x".repeat(letters); count]));
}

fn one_after_the_other(program: &mut Command) -> ! {
    loop {
        for _ in 0..100 {
            program.status().expect("the program starts");
        }
        println!("100 programs");
    }
}

/// So many processes with a variable of so many bytes.
fn long_environment(processes: usize, bytes: usize) {
    let mut program = this(STAYS);
    program.env("LD_PRELOAD", "y".repeat(bytes));
    again_and_again(processes, &mut program);
}

/// So many processes whose working directory and whose path are as long as they can be.
fn long_paths(processes: usize) {
    let own = std::env::current_exe().expect("it has a path");
    let name = "d".repeat(FOLDER_BYTES);
    for _ in 0..FOLDERS {
        let _ = fs::create_dir(&name);
        if std::env::set_current_dir(Path::new(&name)).is_err() {
            break;
        }
    }
    let own = own.to_str().expect("it is UTF-8");
    let padding = "/.".repeat((PATH_BYTES - own.len()) / 2);
    let mut program = Command::new(format!("{padding}{own}"));
    program.arg0(STAYS).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    again_and_again(processes, &mut program);
}

/// Programs that each have a name of their own, of about so many letters.
fn ever_other_names(letters: usize) {
    let mut path = "first".to_owned();
    fs::copy("/proc/self/exe", &path).expect("there is room for it");
    for number in 0_u64.. {
        let next = format!("{number}{}", "n".repeat(letters));
        fs::rename(&path, &next).expect("it is there");
        path = next;
        let mut program = Command::new(format!("./{path}"));
        let status = program.arg0(ENDS).env_clear().status();
        status.expect("the program starts");
        if number % 100 == 0 {
            println!("{number} programs");
        }
    }
}

/// So many processes that run no program of their own.
fn forks(processes: usize) {
    loop {
        let mut live = Vec::new();
        for _ in 0..processes {
            // SAFETY: there is one thread, and the child only waits for its end.
            match unsafe { fork() } {
                0 => loop {
                    // SAFETY: it touches no memory.
                    unsafe { pause() };
                },
                -1 => break,
                process => live.push(process),
            }
        }
        println!("{} live processes", live.len());
        for process in live {
            // SAFETY: a child that has not been waited for; no status is written.
            unsafe {
                kill(process, SIGKILL);
                waitpid(process, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// Starts so many that stay, then ends them, and so on.
fn again_and_again(processes: usize, program: &mut Command) {
    loop {
        let mut live: Vec<Child> = Vec::new();
        for _ in 0..processes {
            live.push(program.spawn().expect("the program starts"));
        }
        println!("{processes} live processes");
        for process in &mut live {
            process.kill().expect("it lives");
        }
        for mut process in live {
            process.wait().expect("it ends");
        }
    }
}
