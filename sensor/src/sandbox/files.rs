//! Which files a role may change or run, by Landlock, where the kernel has it (from 5.13 on).
//!
//! Reading is not limited: the sensor reads what belongs to every process and container. Whoever Landlock limits cannot
//! look into processes that it does not limit, so roles that have to are left out.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::role::{FileUse, Role};
use super::state::Plan;

/// The newest whose rights are known here; an older kernel limits fewer.
const NEWEST: ABI = ABI::V6;
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The beginning of a program, which holds its headers.
const HEADERS_BYTES: u64 = 4096;
const VERSION_QUESTION: libc::c_int = 1;

/// The version of this kernel's Landlock; `None` where there is none, or this process may not use it.
pub(super) fn version() -> Option<u32> {
    // SAFETY: asks for the version, with no pointer.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            VERSION_QUESTION,
        )
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Limits the calling thread; whether it is limited now.
pub(super) fn restrict(role: Role, plan: &Plan) -> Result<bool, RulesetError> {
    let file_use = role.file_use(&plan.needs);
    if file_use == FileUse::OtherProcesses || plan.landlock_version.is_none() {
        return Ok(false);
    }
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_write(NEWEST) | AccessFs::Execute)?
        .handle_access(AccessNet::from_all(NEWEST))?;
    // The first thread is outside of what this one is limited to, so its child could not signal the sensor.
    if role != Role::Notices {
        rules = rules.scope(Scope::Signal)?;
    }
    // The service manager's socket may be an abstract one.
    if role != Role::Main {
        rules = rules.scope(Scope::AbstractUnixSocket)?;
    }
    let rules = rules.create()?;
    let rules = match file_use {
        FileUse::OtherProcesses | FileUse::None => rules,
        FileUse::Writes => {
            let kinds = AccessFs::from_write(NEWEST)
                & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeFifo | AccessFs::MakeSym);
            permit(rules, &plan.places.folders, kinds)?
        }
        FileUse::StartsItself => {
            let programs: Vec<PathBuf> = [OWN_PROGRAM.into()].into_iter().chain(loader()).collect();
            let rules = permit(rules, &programs, AccessFs::Execute.into())?;
            permit(rules, &["/dev/null".into()], AccessFs::WriteFile.into())?
        }
    };
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// Permits this below the paths, or below the nearest folder of one that is not there yet.
fn permit(
    rules: RulesetCreated,
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let nearest = |path: &PathBuf| path.ancestors().find_map(|path| PathFd::new(path).ok());
    let found = paths.iter().filter_map(nearest);
    rules.add_rules(found.map(|path| Ok::<_, RulesetError>(PathBeneath::new(path, access))))
}

/// What the kernel runs to load the sensor's own program, where that is linked dynamically.
fn loader() -> Option<PathBuf> {
    let mut headers = Vec::new();
    fs::File::open(OWN_PROGRAM)
        .ok()?
        .take(HEADERS_BYTES)
        .read_to_end(&mut headers)
        .ok()?;
    Some(Path::new(OsStr::from_bytes(interpreter(&headers)?)).to_owned())
}

/// The path in the segment `PT_INTERP` of an ELF file of 64 bits that begins so.
fn interpreter(headers: &[u8]) -> Option<&[u8]> {
    const SEGMENTS_AT: usize = 32;
    const SEGMENT_BYTES_AT: usize = 54;
    const SEGMENTS_NUMBER_AT: usize = 56;
    const OFFSET_IN_SEGMENT: usize = 8;
    const LENGTH_IN_SEGMENT: usize = 32;
    const INTERPRETER: u32 = 3;
    let short = |at: usize| Some(usize::from(u16::from_ne_bytes(*headers.get(at..)?.first_chunk()?)));
    let long = |at: usize| usize::try_from(u64::from_ne_bytes(*headers.get(at..)?.first_chunk()?)).ok();
    let (first, bytes) = (long(SEGMENTS_AT)?, short(SEGMENT_BYTES_AT)?);
    let mut segments = (0..short(SEGMENTS_NUMBER_AT)?).filter_map(|index| first.checked_add(index * bytes));
    let segment = segments.find(|at| {
        let kind = headers.get(*at..).and_then(|rest| rest.first_chunk());
        kind.is_some_and(|kind| u32::from_ne_bytes(*kind) == INTERPRETER)
    })?;
    let (at, length) = (long(segment + OFFSET_IN_SEGMENT)?, long(segment + LENGTH_IN_SEGMENT)?);
    headers.get(at..at.checked_add(length)?)?.strip_suffix(b"\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_of_a_program_is_read_from_it() {
        let loader = loader();
        // Tests are linked dynamically, unless they are built for musl.
        assert_eq!(loader.is_some(), cfg!(target_env = "gnu"));
        assert!(loader.is_none_or(|path| path.exists()));
    }

    #[test]
    fn what_is_no_program_has_none() {
        let program = fs::read(OWN_PROGRAM).unwrap();
        for length in 0..600 {
            interpreter(&program[..length]);
        }
        assert_eq!(interpreter(&[0xff; 4096]), None);
    }
}
