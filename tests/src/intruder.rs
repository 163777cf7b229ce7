//! Somebody with all rights on the host who works against the sensor: stops its threads, has them do things, and changes
//! its maps.

use std::fs;
use std::io;
use std::mem;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// `struct bpf_attr` for `BPF_MAP_DELETE_ELEM`, as the kernel has it.
#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `syscall`, as its bytes stand in a word.
const SYSTEM_CALL: libc::c_long = 0x050f;
const ATTEMPTS: usize = 10_000;
const BPF_MAP_DELETE_ELEM: libc::c_int = 3;
const BPF_MAP_TYPE_PROG_ARRAY: &str = "map_type:\t3\n";

/// Holds a thread of another process as a debugger does; lets go of it when it is dropped.
pub struct Intruder {
    thread: libc::pid_t,
    is_gone: bool,
}

impl Intruder {
    /// Stops the thread where it waits in the kernel. Only this thread may go on with it.
    pub fn attach(thread: libc::pid_t) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            // SAFETY: no memory of this process is touched.
            let result = unsafe { libc::ptrace(libc::PTRACE_ATTACH, thread, 0, 0) };
            ensure!(result == 0, "cannot attach: {}", io::Error::last_os_error());
            let intruder = Intruder { thread, is_gone: false };
            intruder.wait()?;
            if intruder.is_in_system_call()? {
                return Ok(intruder);
            }
            // It works, and may hold locks.
            drop(intruder);
            thread::sleep(Duration::from_millis(1));
        }
        bail!("the thread never waits")
    }

    /// The same without a signal to the thread, which stops wherever it is.
    pub fn seize(thread: libc::pid_t) -> Result<Self> {
        for request in [libc::PTRACE_SEIZE, libc::PTRACE_INTERRUPT] {
            // SAFETY: no memory of this process is touched.
            let result = unsafe { libc::ptrace(request, thread, 0, 0) };
            ensure!(result == 0, "cannot attach: {}", io::Error::last_os_error());
        }
        let intruder = Intruder { thread, is_gone: false };
        intruder.wait()?;
        Ok(intruder)
    }

    /// Whether the thread stands behind the instruction that makes system calls.
    fn is_in_system_call(&self) -> Result<bool> {
        let registers = self.registers()?;
        // SAFETY: no memory of this process is touched.
        let code = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, self.thread, registers.rip - 2, 0) };
        Ok(code & 0xffff == SYSTEM_CALL && registers.orig_rax != u64::MAX)
    }

    /// Has the thread close a descriptor of its process.
    pub fn close(&mut self, descriptor: i32) -> Result<()> {
        let before = self.registers()?;
        let mut after = before;
        self.system_call(libc::SYS_close, descriptor)?;
        // The call that the thread was in is over, as if a signal had come.
        if (-516..=-512).contains(&(before.rax as i64)) {
            after.rax = -i64::from(libc::EINTR) as u64;
        }
        after.orig_rax = u64::MAX;
        self.set_registers(after)
    }

    /// Has the thread end, with nothing of its program's own.
    pub fn end(&mut self) -> Result<()> {
        let status = self.system_call(libc::SYS_exit, 0)?;
        self.is_gone = !libc::WIFSTOPPED(status);
        ensure!(self.is_gone, "the thread goes on");
        Ok(())
    }

    /// Has the thread make a system call; gives how it stands then.
    fn system_call(&self, number: libc::c_long, argument: i32) -> Result<i32> {
        let mut registers = self.registers()?;
        registers.rip -= 2;
        registers.rax = number as u64;
        registers.orig_rax = u64::MAX;
        registers.rdi = argument as u64;
        self.set_registers(registers)?;
        // SAFETY: no memory of this process is touched.
        let result = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.thread, 0, 0) };
        ensure!(result == 0, "cannot go on: {}", io::Error::last_os_error());
        self.wait()
    }

    fn registers(&self) -> Result<libc::user_regs_struct> {
        // SAFETY: all its fields are numbers.
        let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
        // SAFETY: the kernel writes the structure whole.
        let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.thread, 0, &raw mut registers) };
        ensure!(result == 0, "cannot read registers: {}", io::Error::last_os_error());
        Ok(registers)
    }

    fn set_registers(&self, registers: libc::user_regs_struct) -> Result<()> {
        // SAFETY: the kernel reads the structure.
        let result = unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.thread, 0, &raw const registers) };
        ensure!(result == 0, "cannot set registers: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Waits until the thread stops or ends; gives its status.
    fn wait(&self) -> Result<i32> {
        let mut status = 0;
        // SAFETY: the kernel writes the status.
        let waited = unsafe { libc::waitpid(self.thread, &raw mut status, libc::__WALL) };
        ensure!(waited == self.thread, "cannot wait: {}", io::Error::last_os_error());
        Ok(status)
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        if !self.is_gone {
            // SAFETY: no memory of this process is touched.
            unsafe { libc::ptrace(libc::PTRACE_DETACH, self.thread, 0, 0) };
        }
    }
}

/// The thread of this name, the oldest if there are several.
pub fn thread_of(process: u32, name: &str) -> Result<libc::pid_t> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        if fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
            let number = path.file_name().and_then(|name| name.to_str());
            threads.push(number.context("no number")?.parse()?);
        }
    }
    threads.into_iter().min().with_context(|| format!("no thread `{name}`"))
}

/// The descriptors of the links that attach a process's programs to the kernel, in their order.
pub fn links(process: u32) -> Result<Vec<i32>> {
    descriptors(process, |information| information.contains("link_type:"))
}

/// Deletes the entries of a process's maps of programs, which tail calls go by.
pub fn delete_tail_calls(process: u32) -> Result<()> {
    let maps = descriptors(process, |information| information.contains(BPF_MAP_TYPE_PROG_ARRAY))?;
    ensure!(!maps.is_empty(), "no map of programs");
    // SAFETY: no memory of this process is touched.
    let holder = unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) };
    ensure!(holder >= 0, "cannot open the process: {}", io::Error::last_os_error());
    for map in maps {
        // SAFETY: as above.
        let own = unsafe { libc::syscall(libc::SYS_pidfd_getfd, holder, map, 0) };
        ensure!(own >= 0, "cannot have the map: {}", io::Error::last_os_error());
        let key = 0_u32;
        let element = MapElement {
            map: u32::try_from(own)?,
            padding: 0,
            key: &raw const key as u64,
            value: 0,
            flags: 0,
        };
        // SAFETY: the kernel reads the structure and the key, which both live.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_DELETE_ELEM,
                &raw const element,
                size_of::<MapElement>(),
            )
        };
        ensure!(result == 0, "cannot delete the entry: {}", io::Error::last_os_error());
    }
    Ok(())
}

fn descriptors(process: u32, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        let path = entry?.path();
        if fs::read_to_string(&path).is_ok_and(|information| is_wanted(&information)) {
            let number = path.file_name().and_then(|name| name.to_str());
            found.push(number.context("no number")?.parse()?);
        }
    }
    found.sort_unstable();
    Ok(found)
}
