//! The history's database: opened with a check of every page, replaced when it is damaged, written in transactions.
//!
//! redb keeps what was committed over a crash. A file that something else has altered is found when it is opened;
//! should redb panic over one nevertheless, that counts as damage.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::change::Seen;

/// Last seen, in milliseconds since the epoch, by rule and term.
const TERMS: TableDefinition<(&str, &str), i64> = TableDefinition::new("terms");
/// The containers that hold a term, one a line, by rule and term; a term without is the host's.
const HOLDERS: TableDefinition<(&str, &str), &str> = TableDefinition::new("holders");
/// First run, in milliseconds since the epoch, by rule.
const RULES: TableDefinition<&str, i64> = TableDefinition::new("rules");

/// How far the history's time had come, in milliseconds, under [`NOW`].
const CLOCK: TableDefinition<&str, i64> = TableDefinition::new("clock");
const NOW: &str = "now";
/// And in the same table, in nanoseconds of the boot clock, when the last sensor that ended as it should detached.
const WATCHED_UNTIL: &str = "watched until";

/// Everything is read once, at the start, so a large cache would only be memory.
const CACHE_BYTES: usize = 1024 * 1024;
const OWNER_ONLY: u32 = 0o600;

/// How the database is come by.
pub(crate) enum Opener {
    File(PathBuf),
    /// For tests: storage that fails when told to.
    #[cfg(test)]
    Backend(PathBuf, MakeBackend),
}

#[cfg(test)]
pub(crate) type MakeBackend = Box<dyn Fn(&Path) -> io::Result<super::tests::FailingFile> + Send>;

/// Why the database cannot be had; damage is not a reason.
#[derive(Debug)]
pub(crate) enum OpenError {
    InUse,
    Io(io::Error),
}

/// A database, if there is one, and what it held when it was opened.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) database: Option<Database>,
    pub(crate) contents: Contents,
}

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) clock_ms: Option<i64>,
    pub(crate) watched_until_ns: Option<i64>,
    pub(crate) rules: Vec<(String, i64)>,
    pub(crate) terms: Vec<(String, String, Seen)>,
}

/// Changes to be written together: the last of each key.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) clock_ms: Option<i64>,
    pub(crate) watched_until_ns: Option<i64>,
    pub(crate) rules: BTreeMap<Arc<str>, i64>,
    /// All terms on disk are removed before those here are written.
    pub(crate) is_anew: bool,
    /// `None` removes the term.
    pub(crate) terms: BTreeMap<(Arc<str>, Arc<str>), Option<Seen>>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.rules.len() + self.terms.len()
    }
}

impl Opener {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            #[cfg(test)]
            Self::Backend(path, _) => path,
        }
    }

    /// The state directory.
    pub(crate) fn directory(&self) -> &Path {
        self.path().parent().unwrap_or(Path::new(""))
    }

    fn open(&self) -> Result<Database, redb::DatabaseError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        match self {
            Self::File(path) => builder.create_with_backend(FileBackend::new(open_private(path)?)?),
            #[cfg(test)]
            Self::Backend(path, backend) => builder.create_with_backend(backend(path)?),
        }
    }
}

/// The file, made if it is missing, which its owner alone may read: what ran in containers is nobody else's business. A
/// link in its place is not followed.
fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
    }
    Ok(file)
}

/// Opens the database, or makes an empty one if there is none or if it is damaged. A damaged file is kept under
/// another name.
pub(crate) fn open(opener: &Opener) -> Result<Opened, OpenError> {
    let path = opener.path();
    let is_new = std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0);
    match open_and_read(opener) {
        Ok(opened) => Ok(opened),
        Err(Failure::InUse) => Err(OpenError::InUse),
        Err(Failure::Io(error)) => {
            if is_new {
                // What could be written of a new database is worth nothing and would look damaged.
                let _ = std::fs::remove_file(path);
            }
            Err(OpenError::Io(error))
        }
        Err(Failure::Damaged(what)) => {
            let aside = put_aside(path).map_err(OpenError::Io)?;
            tracing::error!(
                "the history `{}` is damaged ({what}) and was put aside as `{}`; it begins empty: learning periods \
                 start again, and alerts for terms that had been seen may repeat",
                path.display(),
                aside.display()
            );
            open_and_read(opener).map_err(|failure| match failure {
                Failure::InUse => OpenError::InUse,
                Failure::Io(error) => OpenError::Io(error),
                Failure::Damaged(what) => OpenError::Io(io::Error::other(what)),
            })
        }
    }
}

/// Shows the sensor that has the state directory that another one holds what comes, as long as this lasts: by a lock of the
/// directory itself, which ends with who has it.
pub(super) fn show_standing_by(state_directory: &Path) -> Option<File> {
    let directory = File::open(state_directory).ok()?;
    directory.try_lock_shared().ok()?;
    Some(directory)
}

/// Whether one does so.
pub(super) fn is_another_standing_by(state_directory: &Path) -> bool {
    File::open(state_directory).is_ok_and(|directory| matches!(directory.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Writes a batch whole or not at all, and safely to disk.
pub(crate) fn write(database: &Database, batch: &Batch) -> Result<(), String> {
    let write = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            if let Some(clock_ms) = batch.clock_ms {
                transaction.open_table(CLOCK)?.insert(NOW, clock_ms)?;
            }
            if let Some(boot_ns) = batch.watched_until_ns {
                transaction.open_table(CLOCK)?.insert(WATCHED_UNTIL, boot_ns)?;
            }
            let mut rules = transaction.open_table(RULES)?;
            for (rule, time_ms) in &batch.rules {
                rules.insert(rule.as_ref(), time_ms)?;
            }
            if batch.is_anew {
                transaction.delete_table(TERMS)?;
                transaction.delete_table(HOLDERS)?;
            }
            let mut terms = transaction.open_table(TERMS)?;
            let mut holders = transaction.open_table(HOLDERS)?;
            for ((rule, term), seen) in &batch.terms {
                let key = (rule.as_ref(), term.as_ref());
                match seen {
                    Some(seen) => terms.insert(key, seen.time_ms)?,
                    None => terms.remove(key)?,
                };
                match seen.as_ref().map(|seen| seen.holders.as_str()) {
                    None | Some("") => holders.remove(key)?,
                    Some(names) => holders.insert(key, names)?,
                };
            }
        }
        transaction.commit()?;
        Ok(())
    };
    match catch_unwind(AssertUnwindSafe(write)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the database is damaged".to_owned()),
    }
}

/// Closes a database that may be damaged.
pub(crate) fn close(database: Database) {
    // What it could not write is written again, or given up, by whoever closes it.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

enum Failure {
    InUse,
    Io(io::Error),
    Damaged(String),
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Io(error)
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Io(error)
            }
            redb::Error::PreviousIo => Self::Io(io::Error::other(error)),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

fn open_and_read(opener: &Opener) -> Result<Opened, Failure> {
    let attempt = || -> Result<Opened, redb::Error> {
        let database = opener.open()?;
        let contents = read(&database)?;
        Ok(Opened {
            database: Some(database),
            contents,
        })
    };
    match catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Damaged("reading it failed".to_owned())),
    }
}

fn read(database: &Database) -> Result<Contents, redb::Error> {
    let mut contents = Contents::default();
    let transaction = database.begin_read()?;
    let rules = match transaction.open_table(RULES) {
        // A new database has no tables until the first commit.
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(contents),
        table => table?,
    };
    match transaction.open_table(CLOCK) {
        Ok(clock) => {
            contents.clock_ms = clock.get(NOW)?.map(|time_ms| time_ms.value());
            contents.watched_until_ns = clock.get(WATCHED_UNTIL)?.map(|boot_ns| boot_ns.value());
        }
        // Only a running sensor has one.
        Err(redb::TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    for entry in rules.iter()? {
        let (rule, time_ms) = entry?;
        contents.rules.push((rule.value().to_owned(), time_ms.value()));
    }
    let holders = match transaction.open_table(HOLDERS) {
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        table => Some(table?),
    };
    for entry in transaction.open_table(TERMS)?.iter()? {
        let (key, time_ms) = entry?;
        let (rule, term) = key.value();
        let names = match &holders {
            Some(holders) => holders.get((rule, term))?,
            None => None,
        };
        let seen = Seen {
            time_ms: time_ms.value(),
            holders: names.map(|names| names.value().to_owned()).unwrap_or_default(),
        };
        contents.terms.push((rule.to_owned(), term.to_owned(), seen));
    }
    Ok(contents)
}

fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{seconds}"));
    let aside = PathBuf::from(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}
