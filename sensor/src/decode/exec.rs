//! Execs, and the records that continue them with further arguments and the environment.

use sensor_abi::{
    ARGUMENTS_LIMIT, ArgumentsFixed, ENVIRONMENT_LIMIT, ExecFixed, FLAG_ARGUMENTS_CONTINUE, FLAG_ARGUMENTS_CUT,
    FLAG_ARGUMENTS_UNREADABLE, FLAG_ENVIRONMENT_FOLLOWS, FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_OUTSIDE_ROOT,
    FLAG_SHORT_FILLING, FLAG_SHORT_OVER_SHARE, RecordKind, SHORT_PATH,
};

use super::bytes::{DecodeError, LeftOut, fixed_part, path, text};

/// A process image was replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub fixed: ExecFixed,
    /// Resolved path of the executable; of a script, of its interpreter. A memory file is
    /// `memfd:NAME`. Of this and the other paths, `...` stands for what is left out.
    pub executable: String,
    /// The path as it was given to the kernel: a symlink, a relative path, a script.
    pub filename: String,
    pub working_directory: String,
    /// Where the process's root lies in that of its mount namespace; empty where they are the same.
    pub root: String,
    /// Whether the path of the executable is the one in the process's root.
    pub is_in_root: bool,
    /// Path of the process's cgroup from its hierarchy's root.
    pub cgroup: String,
    pub left_out: PathsLeftOut,
    /// Under pressure, long paths and arguments are cut short.
    pub shortened: Option<Shortened>,
    /// Supplementary groups, as many as the record carries.
    pub groups: Vec<u32>,
    /// The arguments' bytes, each argument ended by a zero byte (the last one perhaps not).
    pub arguments: Vec<u8>,
    /// Whether `arguments` is all of them.
    pub arguments_complete: bool,
    /// The position in `arguments` at which the middle was left out because of the limit.
    pub arguments_gap: Option<usize>,
    /// The environment's bytes, each variable ended by a zero byte; empty unless it is asked for.
    pub environment: Vec<u8>,
    /// Whether `environment` is all of it.
    pub environment_complete: bool,
}

/// What is not known of an exec's paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathsLeftOut {
    pub executable: LeftOut,
    pub working_directory: LeftOut,
    pub root: LeftOut,
    pub cgroup: LeftOut,
    /// Whether the path that was given to the kernel may lack its end.
    pub requested: bool,
}

/// Why less than usual is told of an exec. (Of the first two the kernel side sent less.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortened {
    /// Its container had used up its share of the ring buffer.
    OverShare,
    /// The ring buffer was filling up.
    RingFilling,
    /// Its container had many and long arguments looked at lately.
    OverAllowance,
}

impl Shortened {
    /// The value of `tidewaiter.process.shortened`.
    pub fn name(self) -> &'static str {
        match self {
            Shortened::OverShare => "over_share",
            Shortened::RingFilling => "ring_filling",
            Shortened::OverAllowance => "over_allowance",
        }
    }
}

/// What a further record makes of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More will follow.
    Continues,
    /// All that was announced has come.
    Complete,
    /// The record belongs elsewhere, or cannot be placed.
    Broken,
}

/// An exec that is not complete.
pub(super) struct Unfinished {
    pub exec: Exec,
    /// How many bytes of the arguments were left out in the middle.
    left_out: usize,
}

impl Exec {
    /// Whether more of it follows in further records.
    pub(super) fn is_continued(&self) -> bool {
        self.fixed.head.flags & (FLAG_ARGUMENTS_CONTINUE | FLAG_ENVIRONMENT_FOLLOWS) != 0
    }
}

impl Progress {
    fn of(continues: bool) -> Self {
        if continues {
            Progress::Continues
        } else {
            Progress::Complete
        }
    }
}

impl Unfinished {
    pub(super) fn new(exec: Exec) -> Self {
        Unfinished { exec, left_out: 0 }
    }

    /// Adds further arguments, or a part of the environment.
    pub(super) fn append(&mut self, kind: RecordKind, bytes: &[u8]) -> Result<Progress, DecodeError> {
        let Unfinished { exec, left_out } = self;
        let (fixed, rest) = fixed_part::<ArgumentsFixed>(bytes)?;
        let chunk = rest
            .get(..fixed.length as usize)
            .ok_or(DecodeError::Overrun(bytes.len()))?;
        if fixed.pid != exec.fixed.process.pid {
            return Ok(Progress::Broken);
        }
        let flags = exec.fixed.head.flags;
        let continues = fixed.head.flags & FLAG_ARGUMENTS_CONTINUE != 0;
        let is_whole = !continues && fixed.head.flags & (FLAG_ARGUMENTS_UNREADABLE | FLAG_ARGUMENTS_CUT) == 0;
        let offset = fixed.offset as usize;
        if kind == RecordKind::Environment {
            if offset != exec.environment.len() || offset + chunk.len() > ENVIRONMENT_LIMIT {
                return Err(DecodeError::Overrun(bytes.len()));
            }
            exec.environment.extend_from_slice(chunk);
            exec.environment_complete = is_whole;
            return Ok(Progress::of(continues));
        }
        let length = exec.arguments.len();
        let is_cut = flags & FLAG_ARGUMENTS_CUT != 0;
        if is_cut && exec.arguments_gap.is_none() && offset > length {
            exec.arguments_gap = Some(length);
            *left_out = offset - length;
        }
        if offset != length + *left_out || length + chunk.len() > ARGUMENTS_LIMIT {
            return Err(DecodeError::Overrun(bytes.len()));
        }
        exec.arguments.extend_from_slice(chunk);
        exec.arguments_complete = is_whole && !is_cut;
        let is_readable = fixed.head.flags & FLAG_ARGUMENTS_UNREADABLE == 0;
        Ok(Progress::of(
            continues || (is_readable && flags & FLAG_ENVIRONMENT_FOLLOWS != 0),
        ))
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Exec, DecodeError> {
    let (fixed, mut rest) = fixed_part::<ExecFixed>(bytes)?;
    let mut part = |length: u32| {
        let (part, after) = rest
            .split_at_checked(length as usize)
            .ok_or(DecodeError::Overrun(bytes.len()))?;
        rest = after;
        Ok(part)
    };
    let executable = part(fixed.executable_length)?;
    let directory = part(fixed.directory_length)?;
    let root = part(fixed.root_length)?;
    let cgroup = part(fixed.cgroup_length)?;
    let filename = part(fixed.filename_length)?;
    let groups = part(fixed.groups_length)?;
    let cgroup_rest = part(fixed.cgroup_rest_length)?;
    let executable_rest = part(fixed.executable_rest_length)?;
    let directory_rest = part(fixed.directory_rest_length)?;
    let root_rest = part(fixed.root_rest_length)?;
    let arguments = part(fixed.arguments_length)?;
    let flags = fixed.head.flags;
    let (executable, executable_left_out) = if flags & FLAG_EXECUTABLE_DETACHED != 0 {
        (
            text(executable.strip_suffix(b"\0").unwrap_or(executable)),
            LeftOut::Nothing,
        )
    } else {
        path(executable, executable_rest)
    };
    let (working_directory, working_directory_left_out) = path(directory, directory_rest);
    let (mut root, root_left_out) = path(root, root_rest);
    if root == "/" {
        root.clear();
    }
    let is_in_root = flags & (FLAG_EXECUTABLE_DETACHED | FLAG_EXECUTABLE_OUTSIDE_ROOT) == 0
        && executable_left_out != LeftOut::Beginning;
    let (cgroup, cgroup_left_out) = path(cgroup, cgroup_rest);
    let shortened = match flags {
        flags if flags & FLAG_SHORT_OVER_SHARE != 0 => Some(Shortened::OverShare),
        flags if flags & FLAG_SHORT_FILLING != 0 => Some(Shortened::RingFilling),
        _ => None,
    };
    let is_cut_short = shortened.is_some() && fixed.arguments_length < fixed.arguments_total;
    Ok(Exec {
        executable,
        filename: text(filename.strip_suffix(b"\0").unwrap_or(filename)),
        working_directory,
        root,
        is_in_root,
        cgroup,
        left_out: PathsLeftOut {
            executable: executable_left_out,
            working_directory: working_directory_left_out,
            root: root_left_out,
            cgroup: cgroup_left_out,
            requested: shortened.is_some() && filename.len() == SHORT_PATH,
        },
        shortened,
        groups: groups.as_chunks().0.iter().copied().map(u32::from_ne_bytes).collect(),
        arguments: arguments.to_vec(),
        arguments_gap: None,
        environment: Vec::new(),
        environment_complete: false,
        arguments_complete: !is_cut_short
            && flags & (FLAG_ARGUMENTS_CONTINUE | FLAG_ARGUMENTS_CUT | FLAG_ARGUMENTS_UNREADABLE) == 0,
        fixed,
    })
}
