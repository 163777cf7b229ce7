//! Stands in for any program: it ends at once, unless its arguments have `--starts INPUT PROGRAM ARGUMENT...` in them;
//! then it starts that first and waits for its end. The input is the `same` as its own, a `pipe` or a `socket`, and the
//! same holds of output and errors. With `--becomes PROGRAM ARGUMENT...` it runs that in its own place.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--starts") {
        start(&arguments[at + 1], &arguments[at + 2], &arguments[at + 3..]);
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--becomes") {
        let error = Command::new(&arguments[at + 1]).args(&arguments[at + 2..]).exec();
        panic!("could not become the program: {error}");
    }
}

fn start(input: &str, program: &str, arguments: &[String]) {
    let mut command = Command::new(program);
    command.args(arguments);
    // Nothing more will come from its far end.
    let mut far_end = None;
    match input {
        "same" => {}
        "pipe" => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        "socket" => {
            let (near, far) = connection();
            let again = || near.try_clone().expect("a socket may have several descriptors");
            command.stdin(again()).stdout(again()).stderr(again());
            far_end = Some(far);
        }
        _ => panic!("`{input}` is no input"),
    }
    // A program that is not there is started in vain.
    if let Ok(mut child) = command.spawn() {
        drop(child.stdin.take());
        child.wait().expect("it is a child");
    }
    drop(far_end);
}

/// Both ends of a connection within the container, of which the far one says no more.
fn connection() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("every container has this address");
    let near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (far, _) = listener.accept().expect("it was connected to");
    far.shutdown(Shutdown::Write).expect("it is connected");
    (near.into(), far)
}
