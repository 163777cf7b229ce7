//! What low-level runtimes note of their containers: for those that were started before the sensor, whose runtime has
//! ended since and that no cgroup names.
//!
//! The notes lie in folders of the host's root, one for each container, so none of them is a container's own word. A
//! process is known by its pid and start, so a note that is left over is nobody's.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use container_engines::Runtime;
use serde_json::Value;

use super::key::ProcessKey;
use crate::identity::Started;

/// Where a runtime notes what, of a container started without another folder for that.
struct Notes {
    runtime: Runtime,
    folder: &'static str,
    file: &'static str,
    pid: &'static str,
    /// When the process started, in clock ticks since the host did.
    start: &'static str,
}

const NOTES: [Notes; 2] = [
    Notes {
        runtime: Runtime::Runc,
        folder: "/run/runc",
        file: "state.json",
        pid: "init_process_pid",
        start: "init_process_start",
    },
    Notes {
        runtime: Runtime::Crun,
        folder: "/run/crun",
        file: "status",
        pid: "pid",
        start: "process-start-time",
    },
];

const CONTAINERS_AT_MOST: usize = 4096;
/// The longest note that is read; runc's has the container's whole configuration.
const NOTE_BYTES: u64 = 1024 * 1024;

/// The first processes of all containers that are noted.
pub(super) fn first_processes() -> HashMap<ProcessKey, Started> {
    let mut found = HashMap::new();
    for notes in &NOTES {
        let folders = fs::read_dir(notes.folder).into_iter().flatten().flatten();
        for folder in folders.take(CONTAINERS_AT_MOST) {
            let id = folder.file_name().into_string().ok();
            if let Some((key, id)) = notes.first_process(&folder.path()).zip(id) {
                found.insert(key, Started::noted(&id, notes.runtime));
            }
        }
    }
    found
}

impl Notes {
    fn first_process(&self, folder: &Path) -> Option<ProcessKey> {
        let mut text = Vec::new();
        let note = File::open(folder.join(self.file)).ok()?;
        note.take(NOTE_BYTES).read_to_end(&mut text).ok()?;
        let note: Value = serde_json::from_slice(&text).ok()?;
        Some(ProcessKey {
            pid: note.get(self.pid)?.as_u64()?.try_into().ok()?,
            start_ticks: note.get(self.start)?.as_u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, note: &str, expected: Option<(u32, u64)>) {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join(file), note).unwrap();
        let notes = NOTES.iter().find(|notes| notes.file == file).unwrap();
        let found = notes.first_process(folder.path());
        assert_eq!(found.map(|key| (key.pid, key.start_ticks)), expected, "{note}");
    }

    #[test]
    fn a_runtimes_note_names_the_first_process() {
        let note = r#"{"id":"web","init_process_pid":42,"init_process_start":7700,"config":{"rootfs":"/x"}}"#;
        check("state.json", note, Some((42, 7700)));
        let note = r#"{"pid":42,"process-start-time":7700,"cgroup-path":"/web"}"#;
        check("status", note, Some((42, 7700)));
    }

    #[test]
    fn a_note_that_says_something_else_names_nobody() {
        for note in ["", "{", "[]", "{}", r#"{"init_process_pid":42}"#] {
            check("state.json", note, None);
        }
        check("state.json", r#"{"init_process_pid":-1,"init_process_start":1}"#, None);
        check("state.json", r#"{"init_process_pid":"1","init_process_start":1}"#, None);
        check("status", r#"{"pid":99999999999,"process-start-time":1}"#, None);
    }
}
