use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use proptest::prelude::*;
use rule_engine::MemoryHistory;
use tempfile::TempDir;

use super::*;

mod shares;

const FOREVER: Duration = Duration::from_secs(100 * 365 * 86400);
const LONG: Duration = Duration::from_secs(60);
/// Set in the process that is killed: the state directory it writes to.
const CHILD_DIRECTORY: &str = "TIDEWAITER_TEST_HISTORY";

fn open(directory: &TempDir) -> History {
    History::open(directory.path(), FOREVER).unwrap()
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Waits until the disk has taken so many changes.
fn wait_for_commits(history: &History, changes: u64) {
    let deadline = Instant::now() + LONG;
    while history.counts().committed < changes {
        assert!(Instant::now() < deadline, "{:?}", history.counts());
        thread::yield_now();
    }
}

/// A file on a disk that is full when told so.
#[derive(Debug)]
pub(crate) struct FailingFile {
    file: File,
    is_full: Arc<AtomicBool>,
    failures: Arc<AtomicUsize>,
}

impl FailingFile {
    fn check(&self) -> io::Result<()> {
        if self.is_full.load(Relaxed) {
            self.failures.fetch_add(1, Relaxed);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

impl redb::StorageBackend for FailingFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write_all_at(data, offset)
    }
}

/// A disk with a switch: whether it is full, and how often it said so.
struct Disk {
    directory: TempDir,
    is_full: Arc<AtomicBool>,
    failures: Arc<AtomicUsize>,
}

impl Disk {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            is_full: Arc::default(),
            failures: Arc::default(),
        }
    }

    fn open(&self) -> History {
        let (is_full, failures) = (Arc::clone(&self.is_full), Arc::clone(&self.failures));
        let backend = move |path: &Path| {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            Ok(FailingFile {
                file,
                is_full: Arc::clone(&is_full),
                failures: Arc::clone(&failures),
            })
        };
        let opener = Opener::Backend(self.directory.path().join(FILE_NAME), Box::new(backend));
        History::open_with(opener, FOREVER, WhenInUse::Refuse).unwrap()
    }

    fn wait_for_failures(&self, failures: usize) {
        let deadline = Instant::now() + LONG;
        while self.failures.load(Relaxed) < failures {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }
}

#[test]
fn what_was_seen_is_known_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    assert_eq!(history.rule_first_seen("rule", 5), 5);
    assert_eq!(history.observe("rule", "bash", "", 10), None);
    assert_eq!(history.observe("rule", "bash", "", 20), Some(10));
    assert_eq!(history.observe("other", "bash", "", 20), None);
    assert_eq!(history.close(LONG).unsaved, 0);

    let mut history = open(&directory);
    assert_eq!(history.counts().terms, 2);
    assert_eq!(history.rule_first_seen("rule", 99), 5);
    assert_eq!(history.observe("rule", "bash", "", 30), Some(20));
    assert_eq!(history.observe("other", "bash", "", 30), Some(20));
    assert_eq!(history.observe("rule", "sh", "", 30), None);
    assert_eq!(names(&directory), [FILE_NAME]);
}

#[test]
fn a_new_term_is_written_at_once_and_a_refresh_only_after_its_interval() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    history.observe("rule", "bash", "", 0);
    wait_for_commits(&history, 1);
    for time_ms in 1..REFRESH_INTERVAL_MS {
        history.observe("rule", "bash", "", time_ms);
    }
    history.observe("rule", "sh", "", 0);
    wait_for_commits(&history, 2);
    assert_eq!(history.counts().committed, 2);
    history.observe("rule", "bash", "", REFRESH_INTERVAL_MS);
    wait_for_commits(&history, 3);
}

#[test]
fn a_second_sensor_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(&directory);
    assert!(matches!(
        History::open(directory.path(), FOREVER),
        Err(HistoryError::InUse { .. })
    ));
    first.close(LONG);
    open(&directory);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        History::open(&file.join("state"), FOREVER),
        Err(HistoryError::Directory { .. })
    ));
    fs::create_dir(directory.path().join(FILE_NAME)).unwrap();
    assert!(matches!(
        History::open(directory.path(), FOREVER),
        Err(HistoryError::Open { .. })
    ));
}

#[test]
fn terms_past_the_limit_push_out_the_ones_unseen_the_longest() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    for number in 0..MAX_TERMS_PER_RULE as i64 + 2 {
        history.observe("rule", &format!("term-{number}"), "", number);
        // Always the latest but one to be seen.
        history.observe("rule", "term-0", "", number);
    }
    assert_eq!(history.counts().terms, MAX_TERMS_PER_RULE as u64);
    assert_eq!(history.counts().evicted, 2);
    assert_eq!(history.observe("other", "term-1", "", 0), None);
    history.close(LONG);
    let mut history = open(&directory);
    assert_eq!(history.counts().terms, MAX_TERMS_PER_RULE as u64 + 1);
    let now_ms = i64::from(u16::MAX) * 2;
    assert!(history.observe("rule", "term-0", "", now_ms).is_some());
    assert_eq!(history.observe("rule", "term-3", "", now_ms), Some(3));
    assert_eq!(history.observe("rule", "term-1", "", now_ms), None);
    assert_eq!(history.observe("rule", "term-2", "", now_ms), None);
}

#[test]
fn terms_unseen_for_longer_than_every_window_are_forgotten_on_disk_too() {
    let directory = tempfile::tempdir().unwrap();
    let keep = Duration::from_millis(1000);
    let mut history = History::open(directory.path(), keep).unwrap();
    history.observe("rule", "old", "", 0);
    history.observe("rule", "new", "", PRUNE_INTERVAL_MS);
    assert_eq!(history.counts().terms, 1);
    history.close(LONG);
    assert_eq!(open(&directory).counts().terms, 1);
}

#[test]
fn a_full_disk_is_retried_and_nothing_is_lost() {
    let disk = Disk::new();
    let mut history = disk.open();
    history.observe("rule", "before", "", 1);
    wait_for_commits(&history, 1);
    disk.is_full.store(true, Relaxed);
    for number in 0..100 {
        history.observe("rule", &format!("while-{number}"), "", 2);
    }
    disk.wait_for_failures(2);
    assert_eq!(history.observe("rule", "while-0", "", 3), Some(2));
    disk.is_full.store(false, Relaxed);
    wait_for_commits(&history, 101);
    assert!(history.counts().write_errors > 0);
    assert_eq!(history.close(LONG).unsaved, 0);
    let mut history = disk.open();
    assert_eq!(history.counts().terms, 101);
    assert_eq!(history.observe("rule", "while-99", "", 3), Some(2));
    assert_eq!(names(&disk.directory), [FILE_NAME]);
}

#[test]
fn a_disk_that_is_full_at_the_first_start_is_retried() {
    let disk = Disk::new();
    disk.is_full.store(true, Relaxed);
    let mut history = disk.open();
    history.observe("rule", "term", "", 1);
    disk.wait_for_failures(3);
    disk.is_full.store(false, Relaxed);
    wait_for_commits(&history, 1);
    history.close(LONG);
    assert_eq!(disk.open().counts().terms, 1);
    assert_eq!(names(&disk.directory), [FILE_NAME]);
}

#[test]
fn a_disk_that_stays_full_is_counted_at_the_end() {
    let disk = Disk::new();
    let mut history = disk.open();
    disk.is_full.store(true, Relaxed);
    history.observe("rule", "term", "", 1);
    disk.wait_for_failures(1);
    assert_eq!(history.close(LONG).unsaved, 1);
}

#[test]
fn what_a_full_queue_refused_is_on_disk_at_the_end() {
    let disk = Disk::new();
    let mut history = disk.open();
    let terms = QUEUE_LENGTH as i64 * 2;
    // More rules than one, since the terms of one rule are limited.
    for number in 0..terms {
        history.observe(&format!("rule-{}", number % 4), &format!("{number}"), "", 1);
    }
    assert_eq!(history.close(LONG).unsaved, 0);
    assert_eq!(disk.open().counts().terms, terms as u64);
}

#[test]
fn a_file_that_is_not_a_history_is_put_aside() {
    for content in [&b"not a database"[..], &[0; 4096], &[0xff; 10_000]] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), content).unwrap();
        let mut history = open(&directory);
        assert_eq!(history.observe("rule", "term", "", 1), None);
        assert_eq!(history.close(LONG).unsaved, 0);
        let names = names(&directory);
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[1].starts_with("history.redb.damaged-"));
        assert_eq!(fs::read(directory.path().join(&names[1])).unwrap(), content);
        assert_eq!(open(&directory).counts().terms, 1);
    }
}

/// A closed history with some terms, as bytes.
fn sample_file() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    history.rule_first_seen("rule", 1);
    for number in 0..200 {
        history.observe("rule", &format!("term-{number}"), "", number);
    }
    history.close(LONG);
    fs::read(directory.path().join(FILE_NAME)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_damage_is_survived_and_leaves_no_false_memory(
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sample_file);
        let mut bytes = SAMPLE.clone();
        for (at, value) in damages {
            // Mostly where there is content: a new database is mostly empty.
            let occupied = bytes.len().min(64 * 1024);
            bytes[at.index(occupied)] ^= value | 1;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), &bytes).unwrap();
        let mut history = open(&directory);
        prop_assert!([0, 200].contains(&history.counts().terms));
        for number in 0..200_i64 {
            let seen = history.observe("rule", &format!("term-{number}"), "", 1000);
            prop_assert!(seen.is_none() || seen == Some(number));
        }
        prop_assert_eq!(history.close(LONG).unsaved, 0);
    }

    #[test]
    fn it_answers_like_a_history_in_memory_across_restarts(
        steps in prop::collection::vec((0..3_u8, 0..6_u8, 0..200_000_i64, 0..20_u8), 1..60),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut history = open(&directory);
        let mut memory = MemoryHistory::default();
        for (rule, term, time_ms, what) in steps {
            let (rule, term) = (format!("rule-{rule}"), format!("term-{term}"));
            match what {
                0 => {
                    history.close(LONG);
                    history = open(&directory);
                }
                1..5 => {
                    let first_seen = memory.rule_first_seen(&rule, time_ms);
                    prop_assert_eq!(history.rule_first_seen(&rule, time_ms), first_seen);
                }
                _ => {
                    let seen = memory.observe(&rule, &term, "", time_ms);
                    prop_assert_eq!(history.observe(&rule, &term, "", time_ms), seen);
                }
            }
        }
    }
}

#[test]
fn what_was_committed_survives_kill_9_in_the_middle_of_writing() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        write_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut committed = 0;
    for round in 1..=5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "history::tests::what_was_committed_survives_kill_9_in_the_middle_of_writing",
            ])
            .env(CHILD_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        committed = numbers.take(20 * round).last().unwrap_or(committed);
        child.kill().unwrap();
        child.wait().unwrap();

        let mut history = open(&directory);
        assert!(
            history.counts().terms >= committed,
            "{committed} {:?}",
            history.counts()
        );
        for number in 0..committed {
            assert!(
                history
                    .observe(&rule_of(number), &format!("term-{number}"), "", 1)
                    .is_some(),
                "term {number} of {committed}"
            );
        }
        history.close(LONG);
    }
    assert_eq!(names(&directory), [FILE_NAME]);
}

/// As the terms of one rule are limited.
fn rule_of(number: u64) -> String {
    format!("rule-{}", number / 4_000)
}

/// Sees one new term after the other and says how many are on disk, counted over all rounds.
fn write_until_killed(directory: &Path) -> ! {
    let mut history = History::open(directory, FOREVER).unwrap();
    let before = history.counts().terms;
    let mut said = 0;
    for number in before.. {
        history.observe(&rule_of(number), &format!("term-{number}"), "", 1);
        while history.counts().committed == said && number - before > said + 100 {
            thread::yield_now();
        }
        let committed = history.counts().committed;
        if committed > said {
            println!("committed {}", before + committed);
            said = committed;
        }
    }
    unreachable!("numbers do not end");
}

#[test]
fn one_that_stands_by_takes_over_what_the_other_one_leaves_and_says_until_when_that_watched() {
    let directory = tempfile::tempdir().unwrap();
    let stand_by = || History::open_or_stand_by(directory.path(), FOREVER).unwrap();
    let mut first = stand_by();
    assert!(!first.stands_by());
    let mut second = stand_by();
    assert!(second.stands_by() && second.state().stands_by());
    // One that ends before leaves nothing.
    second.watched_until(3);
    second.close(LONG);
    let mut second = stand_by();
    first.observe("rule", "sh", "", 5);
    assert!(second.take_over().is_none());
    assert!(!first.watched_until(6));
    second.holds_events();
    let deadline = Instant::now() + LONG;
    while !first.watched_until(7) {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
    first.close(LONG);
    let deadline = Instant::now() + LONG;
    let taken = loop {
        if let Some(taken) = second.take_over() {
            break taken;
        }
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(taken.watched_until_ns, Some(7));
    assert!(!second.stands_by() && !second.state().stands_by());
    assert_eq!(second.observe("rule", "sh", "", 9), Some(5));
    second.close(LONG);
    assert!(!stand_by().stands_by());
}
