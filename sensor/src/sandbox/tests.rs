//! What a thread in a role can and cannot do. Each limits itself alone.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use caps::CapSet;
use libc::{c_int, c_long};

use super::*;

fn plan(folders: &[&Path]) -> Plan {
    filter::handle_refusals().unwrap();
    let places = Places {
        folders: folders.iter().map(|folder| (*folder).to_owned()).collect(),
        ..Places::default()
    };
    Plan {
        mode: Mode::Enforce,
        needs: Needs::find(&places),
        landlock_version: files::version(),
        places,
    }
}

/// What `act` gives in a thread of the role.
fn in_role<T: Send>(role: Role, plan: &Plan, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            plan.limit(role);
            act()
        });
        thread.join().unwrap()
    })
}

/// Makes a system call, with arguments that mean nothing after the ones that are given.
fn call(number: c_long, arguments: &[c_long]) -> Result<c_long, c_int> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(-1);
    // SAFETY: no argument is a pointer to anything; where one is to be a pointer, the kernel reads nothing there.
    let result = unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap()),
        result => Ok(result),
    }
}

#[test]
fn what_an_intruder_would_call_is_refused_in_every_role_and_counted() {
    let plan = plan(&[]);
    for role in Role::ALL {
        let mut attempts: Vec<(c_long, Vec<c_long>)> =
            calls::wanted().iter().map(|call| (call.number, Vec::new())).collect();
        if role != Role::Notices {
            attempts.push((libc::SYS_execve, Vec::new()));
        }
        for family in [
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
            libc::AF_PACKET,
            libc::AF_VSOCK,
        ] {
            attempts.push((libc::SYS_socket, vec![family.into(), libc::SOCK_DGRAM.into(), 0]));
        }
        let executable = (libc::PROT_READ | libc::PROT_EXEC).into();
        if role != Role::Notices {
            attempts.push((libc::SYS_mmap, vec![0, 4096, executable, 0x22, -1, 0]));
            attempts.push((libc::SYS_mprotect, vec![0, 4096, executable]));
        }
        attempts.push((libc::SYS_clone, vec![libc::CLONE_NEWUSER.into(), 0]));
        attempts.push((libc::SYS_setns, vec![-1, libc::CLONE_NEWNS.into()]));
        // Loading a program, and making a map.
        attempts.push((libc::SYS_bpf, vec![5, 0, 0]));
        attempts.push((libc::SYS_bpf, vec![0, 0, 0]));
        attempts.push((libc::SYS_perf_event_open, Vec::new()));
        attempts.push((libc::SYS_tgkill, vec![1, 1, 0]));
        attempts.push((libc::SYS_prctl, vec![libc::PR_SET_DUMPABLE.into(), 1]));
        attempts.push((libc::SYS_capset, Vec::new()));
        let is_writer = matches!(role, Role::Main | Role::Files | Role::Control | Role::Notices);
        if !is_writer {
            let flags = (libc::O_WRONLY | libc::O_CREAT).into();
            attempts.push((libc::SYS_openat, vec![-1, 0, flags]));
        }
        let seen = in_role(role, &plan, || {
            let results = attempts.iter().map(|(number, arguments)| call(*number, arguments));
            results.collect::<Vec<_>>()
        });
        for ((number, arguments), result) in attempts.iter().zip(seen) {
            let name = calls::name(*number).unwrap();
            assert_eq!(result, Err(libc::EPERM), "{name} {arguments:?} in {role:?}");
        }
    }
    let counted = refused();
    for name in ["ptrace", "execve", "socket", "bpf", "mount"] {
        assert!(counted.iter().any(|refused| refused.call == name), "{name}");
    }
}

#[test]
fn a_role_does_what_it_is_there_for() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&[folder.path()]);
    let (own, other) = (folder.path().join("own"), tempfile::tempdir().unwrap());
    let elsewhere = other.path().join("file");
    let (written, refused) = in_role(Role::Files, &plan, || {
        let written = fs::write(&own, "x").and_then(|()| fs::rename(&own, own.with_extension("y")));
        (written, fs::write(&elsewhere, "x"))
    });
    written.unwrap();
    assert_eq!(refused.is_err(), files::version().is_some());
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.args(["--list", "nothing-is-called-this"]).stdin(Stdio::null());
        let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        ended.map(|status| status.success())
    };
    let (itself, another) = in_role(Role::Notices, &plan, || (start("/proc/self/exe"), start("/bin/true")));
    assert!(itself.unwrap());
    assert_eq!(another.is_err(), files::version().is_some());
    let read = in_role(Role::Events, &plan, || fs::read_to_string("/proc/1/stat"));
    read.unwrap();
    let (socket, thread) = in_role(Role::Engines, &plan, || {
        let socket = std::os::unix::net::UnixStream::pair().map(drop);
        (
            socket,
            thread::Builder::new().spawn(|| 7).map(|thread| thread.join().unwrap()),
        )
    });
    socket.unwrap();
    assert_eq!(thread.unwrap(), 7);
}

#[test]
fn no_capability_is_left_but_the_roles_own() {
    let plan = plan(&[]);
    for role in Role::ALL {
        let kept = role.capabilities(&plan.needs);
        let (permitted, inheritable) = in_role(role, &plan, || {
            let read = |set| fs::read_to_string("/proc/thread-self/status").map(|status| (status, set));
            (read("CapPrm:").unwrap(), read("CapInh:").unwrap())
        });
        let mask = |(status, key): (String, &str)| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap()
                .trim()
                .to_owned();
            u64::from_str_radix(&line, 16).unwrap()
        };
        let own = kept.iter().fold(0, |mask, capability| mask | capability.bitmask());
        assert_eq!(mask(permitted) & !own, 0, "{role:?}");
        assert_eq!(mask(inheritable), 0, "{role:?}");
    }
    // This thread has what it had.
    assert!(caps::read(None, CapSet::Permitted).is_ok());
}

#[test]
fn what_is_reported_is_what_the_kernel_says() {
    let found = report();
    assert_eq!(found.pid, std::process::id());
    assert!(found.threads.iter().any(|thread| !thread.name.is_empty()));
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), found);
}
