//! Arguments and environment of a process. They are hostile input, bounded here per process and in total.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sha2::{Digest, Sha256};

use crate::decode::{self, Exec};

/// Limit for the arguments kept of all processes together. Beyond it an event still has its own arguments in full, but
/// only their ends are kept for later events.
const HELD_AT_MOST: usize = 16 * 1024 * 1024;
/// How much is then kept of the beginning, and of the end.
const KEPT_END_BYTES: usize = 2048;

/// A process's arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessArguments {
    pub texts: Vec<String>,
    /// Bytes of all of them in the process's memory.
    pub total_bytes: u64,
    pub cut: Option<Cut>,
    held: Held,
}

/// Describes arguments that are incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// After how many of them the middle is missing; `None` if the end is.
    pub after: Option<usize>,
    /// SHA-256, in hexadecimal digits, of the bytes that were read.
    pub sha256: String,
}

/// The bytes of one process's arguments, counted among those of all as long as it lives.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    all: HeldBytes,
}

/// How many bytes the arguments of all processes have.
#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicUsize>);

impl ProcessArguments {
    /// The arguments of an exec.
    pub fn from_exec(exec: &Exec, held: &HeldBytes) -> Self {
        let bytes = &exec.arguments;
        let (texts, after) = match exec.arguments_gap.and_then(|gap| bytes.split_at_checked(gap)) {
            Some((head, tail)) => {
                let mut texts = split_arguments(head);
                let after = texts.len();
                texts.extend(split_arguments(tail));
                (texts, Some(after))
            }
            None => (split_arguments(bytes), None),
        };
        let cut = (!exec.arguments_complete).then(|| Cut {
            after,
            sha256: sha256(bytes),
        });
        Self::new(texts, exec.fixed.arguments_total.into(), cut, held)
    }

    /// The arguments of a process that was running before the sensor.
    pub fn from_proc(bytes: &[u8], is_whole: bool, held: &HeldBytes) -> Self {
        let cut = (!is_whole).then(|| Cut {
            after: None,
            sha256: sha256(bytes),
        });
        Self::new(split_arguments(bytes), bytes.len() as u64, cut, held)
    }

    fn new(texts: Vec<String>, total_bytes: u64, cut: Option<Cut>, held: &HeldBytes) -> Self {
        let bytes = texts.iter().map(String::len).sum();
        ProcessArguments {
            texts,
            total_bytes,
            cut,
            held: Held::new(bytes, held),
        }
    }

    /// What to keep of them for later events, if that is less than everything.
    pub fn surplus_removed(&self) -> Option<Self> {
        if self.held.all.get() <= HELD_AT_MOST || self.held.bytes <= 2 * KEPT_END_BYTES {
            return None;
        }
        let fitting = |texts: &mut dyn Iterator<Item = &String>| {
            let mut bytes = 0;
            let is_fitting = |text: &&String| {
                bytes += text.len();
                bytes <= KEPT_END_BYTES
            };
            texts.take_while(is_fitting).count()
        };
        let head = fitting(&mut self.texts.iter());
        let tail = fitting(&mut self.texts.iter().rev()).min(self.texts.len() - head);
        let texts = [&self.texts[..head], &self.texts[self.texts.len() - tail..]].concat();
        let sha256 = match &self.cut {
            Some(cut) => cut.sha256.clone(),
            None => sha256(
                &self
                    .texts
                    .iter()
                    .flat_map(|text| [text.as_bytes(), b"\0"].concat())
                    .collect::<Vec<_>>(),
            ),
        };
        let cut = Cut {
            after: Some(head),
            sha256,
        };
        Some(Self::new(texts, self.total_bytes, Some(cut), &self.held.all))
    }
}

impl HeldBytes {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Held {
    fn new(bytes: usize, all: &HeldBytes) -> Self {
        all.0.fetch_add(bytes, Ordering::Relaxed);
        Held {
            bytes,
            all: all.clone(),
        }
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Held::new(self.bytes, &self.all)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// The variables of an environment with one of these names, as `NAME=value`.
pub(super) fn allowed_variables(environment: &[u8], names: &[String]) -> Vec<String> {
    let is_allowed = |variable: &&[u8]| {
        names.iter().any(|name| {
            let rest = variable.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        })
    };
    environment
        .split(|byte| *byte == 0)
        .filter(is_allowed)
        .map(decode::text)
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits the bytes of arguments, each ended by a zero byte.
fn split_arguments(bytes: &[u8]) -> Vec<String> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(decode::text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_at_zero_bytes_and_empty_ones_are_kept() {
        assert_eq!(split_arguments(b""), Vec::<String>::new());
        assert_eq!(split_arguments(b"\0"), [""]);
        assert_eq!(split_arguments(b"a\0\0b\0"), ["a", "", "b"]);
        assert_eq!(split_arguments(b"a\0cut"), ["a", "cut"]);
    }

    #[test]
    fn past_the_limit_of_all_processes_only_the_ends_of_long_arguments_are_kept() {
        let held = HeldBytes::default();
        let long = || {
            let middle = "x".repeat(HELD_AT_MOST / 2);
            ProcessArguments::from_proc(format!("first\0{middle}\0last\0").as_bytes(), true, &held)
        };
        let first = long();
        assert_eq!(first.surplus_removed(), None);
        let short = ProcessArguments::from_proc(b"short\0", true, &held);
        let second = long();
        assert_eq!(short.surplus_removed(), None);
        let kept = second.surplus_removed().unwrap();
        assert_eq!(kept.texts, ["first", "last"]);
        let cut = kept.cut.as_ref().unwrap();
        assert_eq!(cut.after, Some(1));
        assert_eq!(
            cut.sha256,
            sha256(format!("first\0{}\0last\0", "x".repeat(HELD_AT_MOST / 2)).as_bytes())
        );
        drop(second);
        assert!(held.get() < HELD_AT_MOST);
        drop((first, short, kept));
        assert_eq!(held.get(), 0);
    }

    #[test]
    fn only_variables_on_the_list_are_kept() {
        let names = ["LD_PRELOAD".to_owned(), "HISTFILE".to_owned()];
        let environment =
            b"HOME=/root\0LD_PRELOAD=/x.so\0LD_PRELOAD_TOKEN=secret\0HISTFILE=\0HISTFILE\0TOKEN=LD_PRELOAD=\0";
        assert_eq!(
            allowed_variables(environment, &names),
            ["LD_PRELOAD=/x.so", "HISTFILE="]
        );
        assert_eq!(allowed_variables(environment, &[]), [""; 0]);
    }
}
