//! What this process takes of the machine's memory, as the kernel counts it (`proc_pid_status(5)`).

use std::fs;

/// Resident memory now, in KiB; 0 where the kernel does not say.
#[must_use]
pub fn resident_kib() -> u64 {
    field("VmRSS:")
}

/// The most it has been since the process began, or since [`forget_peak`].
#[must_use]
pub fn peak_kib() -> u64 {
    field("VmHWM:")
}

/// Lets the peak start over from what is resident now.
pub fn forget_peak() {
    // Where the kernel does not allow it the peak is that of the whole process: too high, never too low.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn field(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_memory_and_its_peak_is_no_lower() {
        let now = resident_kib();
        assert!(now > 1_000 && peak_kib() >= now / 2, "{now} {}", peak_kib());
    }
}
