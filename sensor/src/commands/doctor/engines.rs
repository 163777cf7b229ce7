//! What each container engine answers, and whether it will be found again after it was started anew.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use container_engines::{Directory, EngineError, EngineSocket, Place, Probed};

use super::check::Check;
use super::checks::{ok, warn};
use crate::config::ContainersConfig;

/// How long an engine may take for each answer: its version, its containers, and what some of these are.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// An engine and what it said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct Asked {
    socket: EngineSocket,
    is_mounted_alone: bool,
    answer: Result<Answer, EngineError>,
}

/// What an engine says of itself and of its containers, and what of that could not be read.
#[derive(Debug)]
struct Answer {
    said: String,
    unread: Option<String>,
}

impl From<Probed> for Answer {
    fn from(probed: Probed) -> Self {
        let unread = match (probed.failure, probed.cut_answers) {
            (Some(failure), _) => Some(format!("a container could not be read: {failure}")),
            (None, 0) => None,
            (None, number) => Some(format!(
                "{number} parts of its answers could not be read, or were too much"
            )),
        };
        Answer {
            said: format!("{}, {} containers", probed.version, probed.containers),
            unread,
        }
    }
}

/// Asks all engines at once.
pub(crate) fn ask(sockets: &[EngineSocket]) -> Vec<Asked> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let ask_one = |socket: &EngineSocket| Asked {
        is_mounted_alone: is_mount_point(&mounts, &socket.path),
        answer: Directory::probe(socket, ANSWER_LIMIT).map(Answer::from),
        socket: socket.clone(),
    };
    thread::scope(|scope| {
        let asking: Vec<_> = sockets.iter().map(|socket| scope.spawn(|| ask_one(socket))).collect();
        asking.into_iter().filter_map(|asked| asked.join().ok()).collect()
    })
}

pub(crate) fn judge(asked: &[Asked]) -> Vec<Check> {
    let usual = ContainersConfig::default().engines();
    let mut checks: Vec<Check> = asked.iter().map(|engine| judge_one(engine, &usual)).collect();
    checks.extend(asked.iter().filter_map(mounted_alone));
    if !asked.iter().any(|engine| engine.answer.is_ok()) {
        checks.push(warn(
            "engines",
            "no container engine answers: containers are known by their id, without name and image",
            "if containers run on this host, start their engine, or set its socket under [containers]",
        ));
    }
    checks
}

/// Whether something is mounted at this very file.
fn is_mount_point(mounts: &str, path: &Path) -> bool {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // In the fifth word, with white space and backslashes as octal numbers.
    let escaped = path
        .to_string_lossy()
        .replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('\n', "\\012");
    mounts.lines().any(|mount| mount.split(' ').nth(4) == Some(&escaped))
}

/// What is to be said of a socket that is mounted without its folder.
fn mounted_alone(engine: &Asked) -> Option<Check> {
    let path = &engine.socket.path;
    let folder = path.parent().unwrap_or(path).display();
    engine.is_mounted_alone.then(|| {
        warn(
            engine.socket.kind.name(),
            format!(
                "`{}` is mounted as a file: once the engine is started anew, nobody answers there any more",
                path.display()
            ),
            format!("mount its folder: `hostPath: {{path: {folder}}}` at `{folder}`"),
        )
    })
}

fn judge_one(engine: &Asked, usual: &[EngineSocket]) -> Check {
    let name = engine.socket.kind.name();
    let path = engine.socket.path.display();
    let place = match &engine.socket.place {
        Place::Host => String::new(),
        Place::User(user) => format!(", user {user}'s"),
        Place::Inside(container) => format!(", inside the container `{container}`"),
    };
    match &engine.answer {
        Ok(Answer { said, unread: None }) => ok(name, format!("`{path}`{place} answers: {said}")),
        Ok(Answer {
            said,
            unread: Some(unread),
        }) => warn(
            name,
            format!("`{path}`{place} answers: {said}, but {unread}"),
            "compare with what the engine's own command lists; those containers may have only their id",
        ),
        Err(EngineError::Absent) if usual.contains(&engine.socket) => ok(name, format!("not here (`{path}`)")),
        Err(error) => warn(
            name,
            format!("`{path}`{place} cannot be used: {error}; its containers have only their id"),
            "start the engine, run as root or as a user of the socket's group, or correct the path under [containers]",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::CheckStatus;
    use container_engines::EngineKind;

    fn asked(path: &str, answer: Result<&str, EngineError>) -> Asked {
        Asked {
            socket: EngineSocket::on_host(EngineKind::Docker, path),
            is_mounted_alone: false,
            answer: answer.map(|said| Answer {
                said: said.to_owned(),
                unread: None,
            }),
        }
    }

    fn statuses(asked: &[Asked]) -> Vec<(&'static str, CheckStatus)> {
        judge(asked).iter().map(|check| (check.name, check.status)).collect()
    }

    const USUAL: &str = "/var/run/docker.sock";

    #[test]
    fn an_engine_that_answers_or_is_not_here_is_no_complaint() {
        use CheckStatus::{Ok as Fine, Warn};
        assert_eq!(statuses(&[asked(USUAL, Ok("version 1"))]), [("docker", Fine)]);
        assert_eq!(
            statuses(&[asked("/x", Ok("version 1")), asked(USUAL, Err(EngineError::Absent))]),
            [("docker", Fine), ("docker", Fine)]
        );
        assert_eq!(
            statuses(&[asked(USUAL, Err(EngineError::Absent))]),
            [("docker", Fine), ("engines", Warn)]
        );
    }

    #[test]
    fn an_engine_that_was_named_or_fails_is_a_warning_that_says_what_to_do() {
        for engine in [
            asked("/x", Err(EngineError::Absent)),
            asked(USUAL, Err(EngineError::Client("permission denied".to_owned()))),
        ] {
            let checks = judge(&[engine]);
            assert_eq!(checks[0].status, CheckStatus::Warn);
            assert!(checks[0].remedy.is_some());
        }
    }

    #[test]
    fn an_engine_of_which_something_cannot_be_read_is_a_warning_that_says_what() {
        let mut asked = asked(USUAL, Ok("version 1"));
        asked.answer.as_mut().unwrap().unread = Some("a container could not be read: no id".to_owned());
        let checks = judge(&[asked]);
        assert_eq!((checks.len(), checks[0].status), (1, CheckStatus::Warn));
        assert!(checks[0].found.contains("no id"), "{}", checks[0].found);
    }

    #[test]
    fn a_socket_that_is_mounted_without_its_folder_is_a_warning_that_names_the_folder() {
        let mut asked = asked("/run/containerd/containerd.sock", Ok("version 1"));
        asked.is_mounted_alone = true;
        let checks = judge(&[asked]);
        assert_eq!((checks.len(), checks[1].status), (2, CheckStatus::Warn));
        assert!(
            checks[1]
                .remedy
                .as_ref()
                .unwrap()
                .contains("`hostPath: {path: /run/containerd}`")
        );
        let mounts = "22 1 0:21 / / rw - ext4 / rw\n33 22 0:5 /a /run/x\\040y/c.sock rw - tmpfs tmpfs rw\n";
        assert!(is_mount_point(mounts, Path::new("/run/x y/c.sock")));
        assert!(!is_mount_point(mounts, Path::new("/run/x y")));
    }

    #[test]
    fn nobody_answers_at_a_socket_that_is_not_there() {
        let socket = EngineSocket::on_host(EngineKind::Containerd, "/nonexistent/containerd.sock");
        let asked = ask(&[socket]);
        assert!(matches!(asked[0].answer, Err(EngineError::Absent)));
    }
}
