//! The limits of the sensor's own process. Any process of its user may set them (prlimit(2)), with no further right and from a
//! container too that has the host's process ids; so they are looked at again and again, and set back.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

const RESOURCES: [(Resource, &str); 16] = [
    (Resource::RLIMIT_AS, "RLIMIT_AS"),
    (Resource::RLIMIT_CORE, "RLIMIT_CORE"),
    (Resource::RLIMIT_CPU, "RLIMIT_CPU"),
    (Resource::RLIMIT_DATA, "RLIMIT_DATA"),
    (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE"),
    (Resource::RLIMIT_LOCKS, "RLIMIT_LOCKS"),
    (Resource::RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"),
    (Resource::RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"),
    (Resource::RLIMIT_NICE, "RLIMIT_NICE"),
    (Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE"),
    (Resource::RLIMIT_NPROC, "RLIMIT_NPROC"),
    (Resource::RLIMIT_RSS, "RLIMIT_RSS"),
    (Resource::RLIMIT_RTPRIO, "RLIMIT_RTPRIO"),
    (Resource::RLIMIT_RTTIME, "RLIMIT_RTTIME"),
    (Resource::RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"),
    (Resource::RLIMIT_STACK, "RLIMIT_STACK"),
];

/// Whom the kernel ends first for want of memory. It asks who sets it for as little as a limit does.
const OUT_OF_MEMORY: &str = "oom_score_adj";
const OUT_OF_MEMORY_FILE: &str = "/proc/self/oom_score_adj";

/// Soft and hard.
type Limit = (rlim_t, rlim_t);

/// What the limits were when the sensor had begun, and when they were last looked at.
pub(super) struct OwnLimits {
    first: Vec<Option<Limit>>,
    last: Vec<Option<Limit>>,
    first_score: Option<String>,
    last_score: Option<String>,
}

impl OwnLimits {
    pub(super) fn read() -> Self {
        let (limits, score) = (all(), score());
        OwnLimits {
            first: limits.clone(),
            last: limits,
            first_score: score.clone(),
            last_score: score,
        }
    }

    /// The names of those that somebody has set since the last look. Each is set back as far as the sensor may: past a
    /// hard limit only with CAP_SYS_RESOURCE.
    pub(super) fn set_back(&mut self) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let limits = self.first.iter().zip(&mut self.last);
        for ((resource, name), (first, last)) in RESOURCES.into_iter().zip(limits) {
            let now = getrlimit(resource).ok();
            if now == *last {
                continue;
            }
            changed.push(name);
            if let (Some((soft, hard)), Some((_, most))) = (*first, now)
                && setrlimit(resource, soft, hard).is_err()
            {
                let _ = setrlimit(resource, soft.min(most), most);
            }
            *last = getrlimit(resource).ok();
        }
        // After the limit of open files.
        if score() != self.last_score {
            changed.push(OUT_OF_MEMORY);
            if let Some(first) = &self.first_score {
                let _ = fs::write(OUT_OF_MEMORY_FILE, first);
            }
            self.last_score = score();
        }
        changed
    }
}

fn all() -> Vec<Option<Limit>> {
    RESOURCES.map(|(resource, _)| getrlimit(resource).ok()).to_vec()
}

fn score() -> Option<String> {
    fs::read_to_string(OUT_OF_MEMORY_FILE).ok()
}
