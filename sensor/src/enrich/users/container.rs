//! Users and groups of containers, and what programs are, from files in the containers, which may be hostile.
//!
//! One thread takes the requests, and each container's files are read on one more, several at once. A container whose
//! file system does not answer in time has that thread until it does, and no other; then its names are known after all.
//! What is taken of the files is bounded ([`files`]), and so is what is kept ([`kept`]).

mod files;
mod kept;
mod program;

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use crate::{
    identity::ContainerIdentity,
    process::{Boxes, Header, ProcessKey},
    sandbox::{self, Role},
    text::escape::Visible,
};
pub(crate) use files::ContainerNames;
use kept::KeptNames;

/// Requests that wait, of all and of those below one outermost container; more are counted and dropped.
const WAITING_AT_MOST: usize = 256;
const WAITING_OF_ONE: usize = 16;
/// How long reading one container's files may take before others no longer wait for it.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Reads at once that are in time.
const READS_AT_ONCE: usize = 4;
/// Threads that may hang in containers' file systems, each in another outermost container's; beyond that, nothing is read.
const HANGING_AT_MOST: usize = 16;
/// After each program that was read for an outermost container, so that none has programs read all the time.
const PROGRAM_PAUSE: Duration = Duration::from_millis(20);
/// How often it is said at most that a read hangs.
const HANGS_LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Stack of a thread that reads files.
const STACK_BYTES: usize = 128 * 1024;

/// The names in all containers.
pub(crate) struct ContainerUsers {
    shared: Arc<Shared>,
    thread: Arc<JoinHandle<()>>,
}

struct Shared {
    kept: RwLock<KeptNames>,
    boxes: Boxes,
    reads: Mutex<Reads>,
    /// Notified when there is something to begin, or an end.
    changed: Condvar,
    unread: AtomicU64,
    read_limit: Duration,
}

#[derive(Default)]
struct Reads {
    waiting: VecDeque<Request>,
    /// By outermost container; one at a time, so that none has all threads hang.
    under_way: HashMap<String, UnderWay>,
    last_logged: Option<Instant>,
    has_ended: bool,
}

struct UnderWay {
    begun: Instant,
    is_hanging: bool,
}

#[derive(Clone)]
struct Request {
    /// Both empty for the host.
    outermost: String,
    container: String,
    wanted: Wanted,
}

/// What is to be found out.
#[derive(Clone)]
enum Wanted {
    /// The container's names, through processes whose root is its own.
    Names(Vec<ProcessKey>),
    /// What the program is that a process runs.
    Program(ProcessKey, Header),
}

/// What was found out.
enum Found {
    Names(ContainerNames),
    Program(Header, bool),
}

impl Wanted {
    /// Whether the answer to one is the answer to the other.
    fn is_same(&self, other: &Wanted) -> bool {
        match (self, other) {
            (Wanted::Names(_), Wanted::Names(_)) => true,
            (Wanted::Program(_, one), Wanted::Program(_, other)) => one == other,
            (Wanted::Names(_), Wanted::Program(..)) | (Wanted::Program(..), Wanted::Names(_)) => false,
        }
    }
}

impl ContainerUsers {
    /// Knows nothing yet.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        Self::start_with(read, READ_LIMIT)
    }

    fn start_with(
        read: impl Fn(&Request) -> Option<Found> + Clone + Send + 'static,
        read_limit: Duration,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            kept: RwLock::default(),
            boxes: Boxes::default(),
            reads: Mutex::default(),
            changed: Condvar::new(),
            unread: AtomicU64::new(0),
            read_limit,
        });
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("users".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                sandbox::enter(Role::Users);
                serve(&serving, &read);
            })?;
        Ok(ContainerUsers {
            shared,
            thread: Arc::new(thread),
        })
    }

    /// The thread that takes the requests.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Has the files of a container read, through the first of these processes that still exists.
    pub(crate) fn request(&self, container: &ContainerIdentity, processes: Vec<ProcessKey>) {
        self.ask(Request {
            outermost: container.outermost_id().to_owned(),
            container: container.id.clone(),
            wanted: Wanted::Names(processes),
        });
    }

    /// Has the program read that a process runs, of the container or of the host.
    pub(crate) fn request_program(&self, container: Option<&ContainerIdentity>, process: ProcessKey, header: Header) {
        let text =
            |of: fn(&ContainerIdentity) -> &str| container.map_or_else(String::new, |found| of(found).to_owned());
        self.ask(Request {
            outermost: text(ContainerIdentity::outermost_id),
            container: text(|container| &container.id),
            wanted: Wanted::Program(process, header),
        });
    }

    fn ask(&self, request: Request) {
        let mut reads = self.shared.reads();
        let same = |waiting: &&mut Request| {
            waiting.container == request.container
                && waiting.outermost == request.outermost
                && waiting.wanted.is_same(&request.wanted)
        };
        if let Some(waiting) = reads.waiting.iter_mut().find(same) {
            waiting.wanted = request.wanted;
            return;
        }
        let of_one = reads
            .waiting
            .iter()
            .filter(|waiting| waiting.outermost == request.outermost);
        if of_one.count() >= WAITING_OF_ONE || reads.waiting.len() >= WAITING_AT_MOST {
            self.shared.unread.fetch_add(1, Ordering::Relaxed);
            return;
        }
        reads.waiting.push_back(request);
        drop(reads);
        self.shared.changed.notify_one();
    }

    /// The names of a container, once they are read.
    pub(crate) fn names(&self, container: &ContainerIdentity) -> Option<Arc<ContainerNames>> {
        let kept = self.shared.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.get(container.outermost_id(), &container.id)
    }

    /// What programs are, as far as that has been read.
    pub(crate) fn boxes(&self) -> Boxes {
        self.shared.boxes.clone()
    }

    pub(crate) fn unread(&self) -> u64 {
        self.shared.unread.load(Ordering::Relaxed)
    }
}

impl Drop for ContainerUsers {
    fn drop(&mut self) {
        self.shared.reads().has_ended = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, request: Request, found: Option<Found>) {
        match found {
            Some(Found::Names(names)) => {
                let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                kept.insert(&request.outermost, request.container, names);
            }
            Some(Found::Program(header, is_box)) => {
                self.boxes.learn(header, is_box);
                thread::sleep(PROGRAM_PAUSE);
            }
            // The processes were gone, or had not entered their container yet: there will be another request.
            None => {}
        }
        let read = self.reads().under_way.remove(&request.outermost);
        if read.is_some_and(|read| read.is_hanging) {
            info!(
                "the file system of container {} answers again",
                Visible(&request.outermost)
            );
        }
        self.changed.notify_one();
    }
}

/// Has containers' files read until nobody asks any more.
fn serve(shared: &Arc<Shared>, read: &(impl Fn(&Request) -> Option<Found> + Clone + Send + 'static)) {
    let mut reads = shared.reads();
    while !reads.has_ended {
        let left_out = reads.note_hanging(Instant::now(), shared.read_limit);
        shared.unread.fetch_add(left_out, Ordering::Relaxed);
        while let Some(request) = reads.next() {
            let (finishing, read) = (Arc::clone(shared), read.clone());
            let outermost = request.outermost.clone();
            let reader = thread::Builder::new()
                .name("users-read".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let found = read(&request);
                    finishing.finish(request, found);
                });
            if reader.is_err() {
                reads.under_way.remove(&outermost);
                shared.unread.fetch_add(1, Ordering::Relaxed);
            }
        }
        let next_limit = reads.in_time().map(|read| read.begun + shared.read_limit).min();
        reads = match next_limit {
            None => shared.changed.wait(reads).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let left = limit.saturating_duration_since(Instant::now());
                let waited = shared.changed.wait_timeout(reads, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

impl Reads {
    fn in_time(&self) -> impl Iterator<Item = &UnderWay> {
        self.under_way.values().filter(|read| !read.is_hanging)
    }

    /// Gives up waiting for reads whose time is over. Returns how many containers' names are not read therefore.
    fn note_hanging(&mut self, now: Instant, limit: Duration) -> u64 {
        let mut left_out = 0;
        let mut newly = None;
        for (outermost, read) in &mut self.under_way {
            if !read.is_hanging && now.duration_since(read.begun) >= limit {
                read.is_hanging = true;
                left_out += 1;
                newly = Some(outermost.clone());
            }
        }
        let hanging = self.under_way.values().filter(|read| read.is_hanging).count();
        let logged_lately = self
            .last_logged
            .is_some_and(|at| now.duration_since(at) < HANGS_LOGGED_EVERY);
        if let Some(outermost) = newly.filter(|_| !logged_lately) {
            self.last_logged = Some(now);
            warn!(
                "files of container {} are not read: its file system does not answer ({hanging} such containers)",
                Visible(&outermost)
            );
        }
        let before = self.waiting.len();
        let is_hopeless = |request: &Request| {
            let own = self.under_way.get(&request.outermost);
            own.is_some_and(|read| read.is_hanging) || hanging >= HANGING_AT_MOST
        };
        self.waiting.retain(|request| !is_hopeless(request));
        left_out + (before - self.waiting.len()) as u64
    }

    /// The next request that may begin, which counts as begun.
    fn next(&mut self) -> Option<Request> {
        if self.in_time().count() >= READS_AT_ONCE {
            return None;
        }
        let is_free = |request: &Request| !self.under_way.contains_key(&request.outermost);
        let request = self.waiting.remove(self.waiting.iter().position(is_free)?)?;
        let read = UnderWay {
            begun: Instant::now(),
            is_hanging: false,
        };
        self.under_way.insert(request.outermost.clone(), read);
        Some(request)
    }
}

fn read(request: &Request) -> Option<Found> {
    match &request.wanted {
        Wanted::Names(processes) => processes
            .iter()
            .find_map(|process| files::read(*process))
            .map(Found::Names),
        Wanted::Program(process, header) => {
            let is_box = program::read(*process, *header)?;
            Some(Found::Program(*header, is_box))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::users::names::NamesById;

    /// Longer than anything that a test waits for.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn identity(id: &str, outermost: Option<&str>) -> ContainerIdentity {
        ContainerIdentity {
            id: id.to_owned(),
            runtime: None,
            pod_uid: None,
            rootless_owner: None,
            nested_in: outermost.map(|id| Box::new(identity(id, None))),
        }
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "never: {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Containers whose names begin with `hanging` answer when they are let go.
    fn users(read_limit: Duration) -> (ContainerUsers, Arc<(Mutex<bool>, Condvar)>) {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let waiting = Arc::clone(&gate);
        let read = move |request: &Request| {
            if request.container.starts_with("hanging") {
                let (open, changed) = &*waiting;
                drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            }
            Some(Found::Names(ContainerNames {
                users: [(7, Arc::from(&*request.container))].into(),
                groups: NamesById::new(),
            }))
        };
        (ContainerUsers::start_with(read, read_limit).unwrap(), gate)
    }

    fn let_go(gate: &(Mutex<bool>, Condvar)) {
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }

    #[test]
    fn containers_that_hang_take_no_others_names_and_have_their_own_when_they_answer() {
        let (users, gate) = users(Duration::from_millis(20));
        let hanging: Vec<_> = (0..HANGING_AT_MOST - 1)
            .map(|number| identity(&format!("hanging{number}"), None))
            .collect();
        for container in &hanging {
            users.request(container, Vec::new());
        }
        until("all hang", || users.unread() == hanging.len() as u64);
        let healthy = identity("healthy", None);
        users.request(&healthy, Vec::new());
        until("the others are read", || users.names(&healthy).is_some());
        // On a busy machine this one was late too.
        let unread = users.unread();
        users.request(&hanging[0], Vec::new());
        until("what hangs is not read twice", || users.unread() > unread);

        let_go(&gate);
        until("they are read after all", || {
            hanging.iter().all(|container| users.names(container).is_some())
        });
        let again = identity("hanging again", Some("hanging0"));
        users.request(&again, Vec::new());
        until("they can be asked again", || users.names(&again).is_some());
    }

    #[test]
    fn one_container_has_one_thread_hang_however_many_it_makes_in_itself() {
        let (users, gate) = users(PATIENCE);
        for number in 0..100 {
            users.request(&identity(&format!("hanging{number}"), Some("outer")), Vec::new());
        }
        let healthy = identity("healthy", None);
        users.request(&healthy, Vec::new());
        until("the other is read", || users.names(&healthy).is_some());
        assert_eq!(users.shared.reads().under_way.len(), 1);
        assert!(users.unread() >= 100 - 1 - WAITING_OF_ONE as u64);
        let_go(&gate);
        until("it is read too", || {
            users.names(&identity("hanging0", Some("outer"))).is_some()
        });
    }

    #[test]
    fn names_are_of_the_container_that_was_asked_about_and_of_no_other_with_its_id() {
        let (users, _gate) = users(PATIENCE);
        users.request(&identity("a", Some("outer")), Vec::new());
        until("it is read", || users.names(&identity("a", Some("outer"))).is_some());
        assert!(users.names(&identity("a", None)).is_none());
    }

    #[test]
    fn the_thread_ends_when_nobody_asks_any_more() {
        let (users, _gate) = users(PATIENCE);
        let thread = users.thread();
        drop(users);
        until("it ends", || thread.is_finished());
    }
}
