//! Memory that the sensor needs no longer, given back to the system: what the start needed, and what was freed later.
//!
//! The C library of the binary that is released (musl) has one heap for all threads, and gives back what is freed at once,
//! which is why it stays within the limits under attack (and takes more processor time), so nothing has to be asked of it.
//! The other one (glibc) has to be told.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use nix::sys::mman::{MmapAdvise, madvise};

/// The C library's own initial limit.
#[cfg(target_env = "gnu")]
const LARGE_ALLOCATION: i32 = 128 * 1024;

/// Parts of the heap that threads allocate from. With one for each, as the C library has it,
/// memory that one thread has freed is not used for what another one needs.
#[cfg(target_env = "gnu")]
const ARENAS: i32 = 2;

/// From how much resident memory on the system is given back what is free.
const RESIDENT_BYTES: usize = 48 * 1024 * 1024;
/// How much has to have come since the last time, or how long ago that has to be.
const GROWTH_BYTES: usize = 4 * 1024 * 1024;
const RETURN_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two times.
const PAUSE: Duration = Duration::from_secs(5);

/// Has threads share their memory. Call it before there are any.
pub(crate) fn share_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number in the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// When freed memory was last given back, and how much was resident then.
pub(super) struct FreedMemory {
    returned_at: Instant,
    resident_bytes: usize,
}

impl FreedMemory {
    pub(super) fn new() -> Self {
        FreedMemory {
            returned_at: Instant::now(),
            resident_bytes: 0,
        }
    }

    /// Gives freed memory back if there may be much of it: pieces in use keep the allocator from doing so itself.
    pub(super) fn look(&mut self) {
        let since = self.returned_at.elapsed();
        if since < PAUSE {
            return;
        }
        let resident = resident_bytes();
        let has_grown = resident > self.resident_bytes + GROWTH_BYTES;
        if resident > RESIDENT_BYTES && (has_grown || since >= RETURN_INTERVAL) {
            return_freed_memory();
            *self = FreedMemory {
                returned_at: Instant::now(),
                resident_bytes: resident_bytes(),
            };
        }
    }
}

fn resident_bytes() -> usize {
    let status = procfs::process::Process::myself().and_then(|process| process.statm());
    status.map_or(0, |status| (status.resident * procfs::page_size()) as usize)
}

/// Has every large allocation go back to the system when it is freed. The C library would raise the limit from which
/// on it does so to the size of the first one freed, the kernel's type information, and keep up to that much for good.
pub(crate) fn return_large_allocations() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number in the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_ALLOCATION);
    }
}

/// Has the system take back the pages of code that the start has run through; what runs on comes from the file again.
pub(crate) fn return_start_up_code() {
    let Ok(maps) = procfs::process::Process::myself().and_then(|process| process.maps()) else {
        return;
    };
    let here = return_start_up_code as *const () as u64;
    let Some(code) = maps.iter().find(|map| map.address.0 <= here && here < map.address.1) else {
        return;
    };
    if let Some(begin) = NonNull::new(code.address.0 as *mut c_void) {
        let length = (code.address.1 - code.address.0) as usize;
        // SAFETY: code is mapped from the program's file and never written to, so what is read again is the same.
        let _ = unsafe { madvise(begin, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Gives back what was freed and is still in the allocator.
pub(crate) fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: frees unused pages of the allocator, under its own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
