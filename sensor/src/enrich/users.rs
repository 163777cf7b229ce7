//! Names of users and groups: on the host from the node's `/etc/passwd` and `/etc/group`, in a container from its own.
//!
//! The host's files are read again when they have changed, which is checked every [`CHECK_EVERY`] at most. A
//! container's are read on another thread ([`container`]), which finds out too what programs are multi-call programs;
//! until then, and for ids of another user namespace, there are no names. The name that every system agrees on (0, root)
//! is never looked up.

mod container;
mod names;

use std::{
    io,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use super::node::NodeRoot;
use crate::process::{Boxes, FIRST_USER_NAMESPACE, Process, ProcessTable};
use container::{ContainerNames, ContainerUsers};
use names::{NamesById, ROOT};

/// How often the files' modification times are checked.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// A larger file is not read: something is wrong with it.
const FILE_LIMIT: u64 = 16 * 1024 * 1024;

/// Further processes of a container through which its files may be read.
const FURTHER_PROCESSES: usize = 3;

/// All users and groups.
pub(crate) struct Users {
    users: HostFile,
    groups: HostFile,
    checked: Instant,
    containers: ContainerUsers,
    root: Arc<str>,
}

impl Users {
    /// Reads the host's files; a file that cannot be read has no names. Containers' files are read on demand.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(node: &NodeRoot) -> io::Result<Self> {
        Ok(Users {
            users: HostFile::read(node, "etc/passwd"),
            groups: HostFile::read(node, "etc/group"),
            checked: Instant::now(),
            containers: ContainerUsers::start()?,
            root: ROOT.into(),
        })
    }

    /// The thread that reads containers' files.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        self.containers.thread()
    }

    /// Which programs are multi-call programs, as far as that has been read.
    pub(crate) fn boxes(&self) -> Boxes {
        self.containers.boxes()
    }

    /// Reads the files that have changed; cheap to call often.
    pub(crate) fn refresh(&mut self) {
        if self.checked.elapsed() >= CHECK_EVERY {
            self.checked = Instant::now();
            self.users.refresh();
            self.groups.refresh();
        }
    }

    /// Has the names of the process's container read, if a container engine started the process: its root is the
    /// container's, and not one that somebody in there made. Has its program read, if nobody knows what that is. Never
    /// waits.
    pub(crate) fn learn_from(&self, process: &Process, table: &ProcessTable) {
        if let Some(header) = process.image().unread {
            self.containers
                .request_program(process.container.as_deref(), process.key, header);
        }
        if let Some(container) = &process.container
            && process.is_container_entry()
            && process.namespaces.user == FIRST_USER_NAMESPACE
        {
            // This process may end before its files are read.
            let others = table.live_processes().filter(|other| {
                other.is_container_entry() && other.container.as_ref() == Some(container) && other.key != process.key
            });
            let processes = others
                .map(|other| other.key)
                .take(FURTHER_PROCESSES)
                .chain([process.key]);
            self.containers.request(container, processes.collect());
        }
    }

    /// The name of a user as the process's host or container has it.
    pub(crate) fn user(&self, uid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(uid, process, &self.users, |names| &names.users)
    }

    /// The name of a group.
    pub(crate) fn group(&self, gid: u32, process: &Process) -> Option<Arc<str>> {
        self.name(gid, process, &self.groups, |names| &names.groups)
    }

    /// Containers whose names were not read: too many were requested, or reading took too long.
    pub(crate) fn unread(&self) -> u64 {
        self.containers.unread()
    }

    fn name(
        &self,
        id: u32,
        process: &Process,
        host: &HostFile,
        select: fn(&ContainerNames) -> &NamesById,
    ) -> Option<Arc<str>> {
        match &process.container {
            None => host.by_id.get(&id).cloned(),
            Some(_) if id == 0 => Some(self.root.clone()),
            Some(container) if process.namespaces.user == FIRST_USER_NAMESPACE => {
                select(&*self.containers.names(container)?).get(&id).cloned()
            }
            Some(_) => None,
        }
    }
}

/// One of the host's files, as it was last read.
struct HostFile {
    node: NodeRoot,
    path: &'static str,
    changed: Option<SystemTime>,
    by_id: NamesById,
}

impl HostFile {
    fn read(node: &NodeRoot, path: &'static str) -> Self {
        let mut names = HostFile {
            node: node.clone(),
            path,
            changed: None,
            by_id: NamesById::new(),
        };
        names.refresh();
        names
    }

    fn refresh(&mut self) {
        let Ok((changed, text)) = self.node.read_if_changed(self.path, self.changed, FILE_LIMIT) else {
            return;
        };
        if let Some(text) = text {
            self.by_id = names::parse(&text);
        }
        self.changed = Some(changed);
    }
}
