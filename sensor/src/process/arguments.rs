//! Arguments and environment of a process. They are hostile input, bounded here per process; of all processes together
//! by the [budget](super::budget).

use sensor_abi::arguments_tail;
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
    /// The arguments of an exec, or both ends of longer ones, with the bytes that the kernel side would have cut too.
    pub fn from_exec(exec: &Exec, limit: usize) -> Self {
        let bytes = exec.arguments.as_slice();
        if bytes.len() <= limit {
            return Self::all_of_exec(exec);
        }
        let tail = arguments_tail(limit as u32) as usize;
        let head = exec.arguments_gap.unwrap_or(bytes.len()).min(limit - tail);
        let ends = (&bytes[..head], &bytes[bytes.len() - tail..]);
        ProcessArguments {
            count: memchr::memchr_iter(0, bytes).count() as u32 + u32::from(!bytes.ends_with(b"\0")),
            ..Self::of_exec(exec, Some(ends))
        }
    }

    /// All that was read of an exec's arguments.
    pub fn all_of_exec(exec: &Exec) -> Self {
        Self::of_exec(
            exec,
            exec.arguments_gap.and_then(|gap| exec.arguments.split_at_checked(gap)),
        )
    }

    /// The arguments of an exec, or these ends of them.
    fn of_exec(exec: &Exec, ends: Option<(&[u8], &[u8])>) -> Self {
        let (texts, after) = match ends {
            Some((head, tail)) => {
                let head = Texts::from_bytes(head);
                let tail = Texts::from_bytes(tail);
                (
                    Texts::from_texts(head.iter().chain(tail.iter())),
                    Some(head.len() as u32),
                )
            }
            None => (Texts::from_bytes(&exec.arguments), None),
        };
        let cut = (ends.is_some() || !exec.arguments_complete).then(|| Cut {
            after,
            sha256: Some(Sha256::digest(&exec.arguments).into()),
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
    use sensor_abi::ExecFixed;
    use zerocopy::FromZeros;

    use super::*;
    use crate::decode::PathsLeftOut;

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
    fn of_longer_arguments_than_the_limit_both_ends_are_kept() {
        let arguments = format!("program\0{}\0middle\0{}\0last\0", "x".repeat(500), "y".repeat(500));
        let exec = |limit| {
            let exec = Exec {
                fixed: ExecFixed::new_zeroed(),
                executable: String::new(),
                filename: String::new(),
                working_directory: String::new(),
                root: String::new(),
                is_in_root: true,
                cgroup: String::new(),
                left_out: PathsLeftOut::default(),
                shortened: None,
                groups: Vec::new(),
                arguments: arguments.clone().into_bytes(),
                arguments_complete: true,
                arguments_gap: None,
                environment: Vec::new(),
                environment_complete: false,
            };
            (
                ProcessArguments::from_exec(&exec, limit),
                ProcessArguments::all_of_exec(&exec),
            )
        };
        let (kept, all) = exec(400);
        let (head, tail) = ("x".repeat(300 - "program\0".len()), "y".repeat(100 - "\0last\0".len()));
        assert_eq!(list(&kept.texts), ["program", &head, &tail, "last"]);
        assert_eq!((kept.count, all.count), (5, 5));
        let cut = kept.cut.unwrap();
        assert_eq!(
            (cut.after, cut.sha256),
            (Some(2), Some(Sha256::digest(&arguments).into()))
        );
        assert_eq!(all.cut, None);
        assert_eq!(exec(arguments.len()), (all.clone(), all));
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
