//! What each container engine answers.

use std::thread;
use std::time::Duration;

use container_engines::{Directory, EngineError, EngineSocket, Place};

use super::check::Check;
use super::checks::{ok, warn};
use crate::config::ContainersConfig;

/// How long an engine may take to say what it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// An engine and what it said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct Asked {
    socket: EngineSocket,
    answer: Result<String, EngineError>,
}

/// Asks all engines at once.
pub(crate) fn ask(sockets: &[EngineSocket]) -> Vec<Asked> {
    let ask_one = |socket: &EngineSocket| Asked {
        answer: Directory::probe(socket, ANSWER_LIMIT).map(|version| version.to_string()),
        socket: socket.clone(),
    };
    thread::scope(|scope| {
        let asking: Vec<_> = sockets
            .iter()
            .map(|socket| scope.spawn(move || ask_one(socket)))
            .collect();
        asking.into_iter().filter_map(|asked| asked.join().ok()).collect()
    })
}

pub(crate) fn judge(asked: &[Asked]) -> Vec<Check> {
    let usual = ContainersConfig::default().engines;
    let mut checks: Vec<Check> = asked.iter().map(|engine| judge_one(engine, &usual)).collect();
    if !asked.iter().any(|engine| engine.answer.is_ok()) {
        checks.push(warn(
            "engines",
            "no container engine answers: containers are known by their id, without name and image",
            "if containers run on this host, start their engine, or set its socket under [containers]",
        ));
    }
    checks
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
        Ok(version) => ok(name, format!("`{path}`{place} answers: {version}")),
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
            answer: answer.map(str::to_owned),
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
    fn nobody_answers_at_a_socket_that_is_not_there() {
        let socket = EngineSocket::on_host(EngineKind::Containerd, "/nonexistent/containerd.sock");
        let asked = ask(&[socket]);
        assert!(matches!(asked[0].answer, Err(EngineError::Absent)));
    }
}
