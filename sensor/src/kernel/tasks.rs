//! The processes that run, as the kernel numbers them: for a sensor whose pid namespace is not the first one, so that `/proc`
//! numbers them otherwise.
//!
//! Read once, after the hooks are attached. A kernel that does not allow it costs what is known of these processes.

use std::io::Read as _;

use aya::{
    Btf, Ebpf,
    programs::{Iter, ProgramError},
};
use sensor_abi::{TASK_CGROUP_CUT, TaskRecord};
use zerocopy::FromBytes as _;

use super::error::KernelError;
use super::load::report_verified;

const PROGRAM: &str = "running_process";
/// Of the iterator.
const KIND: &str = "task";
/// The most that is read: of some 100,000 processes.
const BYTES_AT_MOST: u64 = 32 * 1024 * 1024;

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub record: TaskRecord,
    /// The path of its cgroup from the root of the hierarchy, as in an exec's record; empty if it is too deep.
    pub cgroup: String,
}

/// The processes of this pid namespace and those below it.
///
/// # Errors
/// The kernel has no such iterator, or refuses it.
pub(super) fn running(ebpf: &mut Ebpf) -> Result<Vec<Task>, KernelError> {
    let failed = |error: &(dyn std::error::Error + 'static)| KernelError::new("read the processes that run", error);
    let btf = Btf::from_sys_fs().map_err(|error| failed(&error))?;
    let mut open = || -> Result<_, ProgramError> {
        let program = ebpf.program_mut(PROGRAM);
        let program: &mut Iter = program
            .ok_or_else(|| ProgramError::InvalidName {
                name: PROGRAM.to_owned(),
            })?
            .try_into()?;
        program.load(KIND, &btf)?;
        report_verified(PROGRAM, program.info());
        let link = program.attach()?;
        program.take_link(link)
    };
    let file = open().map_err(|error| failed(&error))?;
    let file = file.into_file().map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(BYTES_AT_MOST)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    Ok(tasks(&bytes))
}

/// Each process in the bytes; one that is cut off at the end is left out.
fn tasks(bytes: &[u8]) -> Vec<Task> {
    let mut rest = bytes;
    let mut tasks = Vec::new();
    while let Ok((record, names)) = TaskRecord::read_from_prefix(rest) {
        let Some((cgroup, after)) = cgroup(names) else { break };
        tasks.push(Task { record, cgroup });
        rest = after;
    }
    tasks
}

/// The path that the names at the beginning make, and what follows them.
fn cgroup(bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut names = Vec::new();
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = &rest[..end];
        rest = &rest[end + 1..];
        if name.is_empty() {
            break;
        }
        names.push(String::from_utf8_lossy(name));
    }
    let (is_cut, rest) = rest.split_first()?;
    names.reverse();
    let path = format!("/{}", names.join("/"));
    Some((
        if *is_cut == TASK_CGROUP_CUT {
            String::new()
        } else {
            path
        },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::*;

    fn written(pid: u32, names: &[&str], last: u8) -> Vec<u8> {
        let mut record = TaskRecord::new_zeroed();
        record.pid = pid;
        let names = names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat());
        let bytes = record.as_bytes().iter().copied().chain(names);
        bytes.chain([0, last]).collect()
    }

    #[test]
    fn each_process_is_read_with_the_path_of_its_cgroup() {
        let bytes = [
            written(1, &[], 0),
            written(2, &["b", "a"], 0),
            written(3, &["deep"], TASK_CGROUP_CUT),
        ]
        .concat();
        let read = |bytes| -> Vec<(u32, String)> {
            let tasks = tasks(bytes).into_iter();
            tasks.map(|task| (task.record.pid, task.cgroup)).collect()
        };
        let expected = [(1, "/"), (2, "/a/b"), (3, "")].map(|(pid, path)| (pid, path.to_owned()));
        assert_eq!(read(&bytes), expected);
        assert_eq!(read(&bytes[..bytes.len() - 1]), expected[..2], "the end is missing");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(tasks(&bytes).len() <= bytes.len() / size_of::<TaskRecord>());
        }
    }
}
