//! A socket through which a running sensor is asked how it is, what it can still do, and to take its rules anew.
//!
//! It is in the runtime directory, its owner's alone. A question is a line with one word, the answer a line of JSON. A
//! sensor that has ended, is stopped or hangs gives none, so nothing that is left of it can pass for an answer.

mod client;
mod server;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use client::{Unanswered, ask};
pub(crate) use server::{Answering, Control};

const SOCKET: &str = "control.sock";

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Health,
    Reload,
    Security,
}

impl Question {
    const ALL: [Question; 3] = [Question::Health, Question::Reload, Question::Security];

    fn word(self) -> &'static str {
        match self {
            Question::Health => "health",
            Question::Reload => "reload",
            Question::Security => "security",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|question| question.word() == word)
    }
}

/// How a sensor is, by its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) pid: u32,
    /// What it does at present.
    pub(crate) status: String,
    /// Why it is not alive, if it is not: what a new start may mend.
    pub(crate) not_alive: Vec<String>,
    /// Why it is not ready, beside that: what it lacks to do all that it was told to.
    pub(crate) not_ready: Vec<String>,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    pub(crate) is_taken: bool,
    pub(crate) what: String,
}

/// The socket's name in its directory, through a descriptor of that: the kernel's limit for names of sockets is short.
struct Place {
    directory: File,
    shown: PathBuf,
}

impl Place {
    fn in_directory(directory: &Path) -> io::Result<Self> {
        Ok(Place {
            directory: File::open(directory)?,
            shown: directory.join(SOCKET),
        })
    }

    fn path_of(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.directory.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn health(pid: u32) -> Health {
        Health {
            pid,
            status: "watching".to_owned(),
            not_alive: Vec::new(),
            not_ready: Vec::new(),
        }
    }

    struct Fixed(u32);

    impl Answering for Fixed {
        fn health(&self) -> Health {
            health(self.0)
        }

        fn reload(&self) -> Reloaded {
            Reloaded {
                is_taken: false,
                what: "no".to_owned(),
            }
        }
    }

    /// A folder whose path is longer than a socket's name may be.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        (folder, long)
    }

    #[test]
    fn a_running_sensor_answers_and_its_socket_is_its_owners_alone() {
        let (_folder, directory) = folder();
        let control = Control::start(&directory, Fixed(7)).unwrap();
        let answer: Health = ask(&directory, Question::Health, PATIENCE).unwrap();
        assert_eq!(answer, health(7));
        let answer: Reloaded = ask(&directory, Question::Reload, PATIENCE).unwrap();
        assert_eq!((answer.is_taken, answer.what.as_str()), (false, "no"));
        let mode = fs::metadata(directory.join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // It is there before the thread notes that it is its own.
        ask::<Health>(&directory, Question::Health, PATIENCE).unwrap();
        drop(control);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[test]
    fn one_that_is_asked_nothing_holds_nobody_up() {
        let (_folder, directory) = folder();
        let _control = Control::start(&directory, Fixed(7)).unwrap();
        let place = Place::in_directory(&directory).unwrap();
        let _silent: Vec<_> = (0..3)
            .map(|_| std::os::unix::net::UnixStream::connect(place.path_of(SOCKET)).unwrap())
            .collect();
        assert_eq!(ask::<Health>(&directory, Question::Health, PATIENCE).unwrap().pid, 7);
    }

    #[test]
    fn a_socket_that_was_left_or_does_not_answer_is_no_answer() {
        let (_folder, directory) = folder();
        let path = Place::in_directory(&directory).unwrap();
        assert!(matches!(
            ask::<Health>(&directory, Question::Health, PATIENCE),
            Err(Unanswered::Nobody { .. })
        ));
        let listener = UnixListener::bind(path.path_of(SOCKET)).unwrap();
        let short = Duration::from_millis(50);
        assert!(matches!(
            ask::<Health>(&directory, Question::Health, short),
            Err(Unanswered::Silent { .. })
        ));
        drop(listener);
        assert!(matches!(
            ask::<Health>(&directory, Question::Health, PATIENCE),
            Err(Unanswered::Nobody { .. })
        ));
        let _control = Control::start(&directory, Fixed(8)).unwrap();
        assert_eq!(ask::<Health>(&directory, Question::Health, PATIENCE).unwrap().pid, 8);
    }

    #[test]
    fn the_socket_of_a_living_sensor_is_taken_over_when_that_has_ended() {
        let (_folder, directory) = folder();
        let place = Place::in_directory(&directory).unwrap();
        let first = UnixListener::bind(place.path_of(SOCKET)).unwrap();
        let _second = Control::start(&directory, Fixed(2)).unwrap();
        let (asked, is_asked) = mpsc::channel();
        let other = directory.clone();
        std::thread::spawn(move || {
            let answer = loop {
                match ask::<Health>(&other, Question::Health, Duration::from_millis(100)) {
                    Ok(health) => break health,
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            };
            asked.send(answer.pid).unwrap();
        });
        assert!(is_asked.recv_timeout(Duration::from_millis(300)).is_err());
        drop(first);
        assert_eq!(is_asked.recv_timeout(PATIENCE).unwrap(), 2);
    }
}
