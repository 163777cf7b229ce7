//! Arguments and environment of a process. They are hostile input, bounded here per process; of all processes together
//! by the [budget](super::budget).

use sha2::{Digest, Sha256};

use super::texts::Texts;
use crate::decode::Exec;

/// How much is kept of the beginning, and of the end, of arguments whose middle is given up.
pub(super) const KEPT_END_BYTES: usize = 2048;

/// A process's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessArguments {
    pub texts: Texts,
    /// How many were read, which may be more than are kept.
    pub count: u32,
    /// Bytes of all of them in the process's memory.
    pub total_bytes: u64,
    pub cut: Option<Cut>,
}

/// Describes arguments that are incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// After how many of them the middle is missing; `None` if the end is.
    pub after: Option<u32>,
    /// SHA-256 of the bytes that were read; `None` where nobody asks for it any more.
    pub sha256: Option<[u8; 32]>,
}

impl Cut {
    /// The hash in hexadecimal digits.
    pub fn sha256_digits(&self) -> Option<String> {
        let digits = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.sha256.as_ref().map(digits)
    }
}

impl ProcessArguments {
    /// The arguments of an exec.
    pub fn from_exec(exec: &Exec) -> Self {
        let bytes = &exec.arguments;
        let (texts, after) = match exec.arguments_gap.and_then(|gap| bytes.split_at_checked(gap)) {
            Some((head, tail)) => {
                let head = Texts::from_bytes(head);
                let tail = Texts::from_bytes(tail);
                (
                    Texts::from_texts(head.iter().chain(tail.iter())),
                    Some(head.len() as u32),
                )
            }
            None => (Texts::from_bytes(bytes), None),
        };
        let cut = (!exec.arguments_complete).then(|| Cut {
            after,
            sha256: Some(Sha256::digest(bytes).into()),
        });
        Self::new(texts, exec.fixed.arguments_total.into(), cut)
    }

    /// The arguments of a process that was running before the sensor.
    pub fn from_proc(bytes: &[u8], is_whole: bool) -> Self {
        let cut = (!is_whole).then(|| Cut {
            after: None,
            sha256: Some(Sha256::digest(bytes).into()),
        });
        Self::new(Texts::from_bytes(bytes), bytes.len() as u64, cut)
    }

    fn new(texts: Texts, total_bytes: u64, cut: Option<Cut>) -> Self {
        ProcessArguments {
            count: texts.len() as u32,
            texts,
            total_bytes,
            cut,
        }
    }

    /// Whether giving up the middle would leave less.
    pub(super) fn has_middle(&self) -> bool {
        self.texts.byte_length() > 2 * KEPT_END_BYTES
    }

    /// Both ends of them.
    pub(super) fn without_middle(&self) -> Self {
        let first = self.texts.first_fitting(KEPT_END_BYTES);
        let last = self.texts.last_fitting(KEPT_END_BYTES).min(self.texts.len() - first);
        let tail = self.texts.iter().skip(self.texts.len() - last);
        let sha256 = match &self.cut {
            Some(cut) => cut.sha256,
            None => Some(Sha256::digest(self.texts.as_bytes()).into()),
        };
        ProcessArguments {
            texts: Texts::from_texts(self.texts.iter().take(first).chain(tail)),
            cut: Some(Cut {
                after: Some(first as u32),
                sha256,
            }),
            ..*self
        }
    }

    /// Only how many there were.
    pub(super) fn without_texts(&self) -> Self {
        ProcessArguments {
            texts: Texts::default(),
            cut: Some(Cut {
                after: Some(0),
                sha256: self.cut.as_ref().and_then(|cut| cut.sha256),
            }),
            ..*self
        }
    }
}

/// The variables of an environment with one of these names, as `NAME=value`.
pub(super) fn allowed_variables(environment: &[u8], names: &[String]) -> Texts {
    let is_allowed = |variable: &&[u8]| {
        names.iter().any(|name| {
            let rest = variable.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&b'='))
        })
    };
    let mut with_ends = Vec::new();
    for variable in environment.split(|byte| *byte == 0).filter(is_allowed) {
        with_ends.extend_from_slice(variable);
        with_ends.push(0);
    }
    Texts::from_bytes(&with_ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &Texts) -> Vec<&str> {
        texts.iter().collect()
    }

    #[test]
    fn without_their_middle_arguments_have_both_ends_and_say_what_is_missing() {
        let bytes = format!("first\0{}\0last\0", "x".repeat(2 * KEPT_END_BYTES));
        let whole = ProcessArguments::from_proc(bytes.as_bytes(), true);
        assert!(whole.has_middle());
        let kept = whole.without_middle();
        assert_eq!(list(&kept.texts), ["first", "last"]);
        assert_eq!((kept.count, kept.total_bytes), (3, bytes.len() as u64));
        let cut = kept.cut.as_ref().unwrap();
        assert_eq!(cut.after, Some(1));
        assert_eq!(cut.sha256, Some(Sha256::digest(bytes.as_bytes()).into()));
        assert!(!kept.has_middle());
        let none = kept.without_texts();
        assert!(none.texts.is_empty());
        assert_eq!((none.count, none.cut.unwrap().sha256), (3, cut.sha256));
    }

    #[test]
    fn only_variables_on_the_list_are_kept() {
        let names = ["LD_PRELOAD".to_owned(), "HISTFILE".to_owned()];
        let environment =
            b"HOME=/root\0LD_PRELOAD=/x.so\0LD_PRELOAD_TOKEN=secret\0HISTFILE=\0HISTFILE\0TOKEN=LD_PRELOAD=\0";
        assert_eq!(
            list(&allowed_variables(environment, &names)),
            ["LD_PRELOAD=/x.so", "HISTFILE="]
        );
        assert!(allowed_variables(environment, &[]).is_empty());
    }
}
