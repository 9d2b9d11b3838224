//! How a process is set up before it computes.
#![allow(
    unsafe_code,
    reason = "the C library's allocator and the environment have no safe interface"
)]

/// Bytes of memory that this process occupies; 0 where the system does not tell.
pub fn resident() -> u64 {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it takes a name and gives a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = text
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or(0) * u64::try_from(page).unwrap_or(0)
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// Gives the system back what the allocator keeps of freed memory.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the allocator looks after itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Sets up this process for tensors; to be called first thing in `main`, while there is one thread.
///
/// * glibc's allocator maps every large block anew and gives freed memory back at once, so that each tensor is paid for
///   in page faults. It is told to keep what it has, in one arena for all threads.
/// * Candle's pool for elementwise operations spins while it waits, and takes the cores from the kernels' threads: it gets
///   none of its own.
///
/// Both leave alone what the environment says (`MALLOC_…`, `CANDLE_NUM_THREADS`).
pub fn prepare() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let wanted = [
            ("MALLOC_ARENA_MAX", libc::M_ARENA_MAX, 1),
            ("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD, 1 << 30),
            ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD, 1 << 28),
            ("MALLOC_TOP_PAD_", libc::M_TOP_PAD, 1 << 24),
        ];
        for (name, option, value) in wanted {
            if std::env::var_os(name).is_none() {
                // SAFETY: these options take any number; glibc refuses what it does not take.
                unsafe { libc::mallopt(option, value) };
            }
        }
    }
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: the caller is the process's only thread.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
}
