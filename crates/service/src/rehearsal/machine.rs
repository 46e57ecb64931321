//! Whether this machine has room for a rehearsal beside the box office.

use std::{fs, path::Path};

/// Memory for the copy's server and the crowd together without its people, in bytes.
const MEMORY_BASE: u64 = 256 << 20;
/// Memory for one person with the history of what was asked and answered, in bytes.
const MEMORY_EACH: u64 = 48 << 10;
/// Space on disk without people and seats, in bytes: the database's log, most of all.
const DISK_BASE: u64 = 256 << 20;
/// Space on disk for one person, or one seat, in bytes.
const DISK_EACH: u64 = 32 << 10;

/// The memory that a rehearsal with so many people may take, in bytes.
#[must_use]
pub const fn memory_needed(people: u32) -> u64 {
    MEMORY_BASE + MEMORY_EACH * people as u64
}

/// The space on disk that a rehearsal with so many people and seats may take, in bytes.
#[must_use]
pub fn disk_needed(people: u32, seats: usize) -> u64 {
    let rows = u64::from(people).saturating_add(u64::try_from(seats).unwrap_or(u64::MAX));
    DISK_EACH.saturating_mul(rows).saturating_add(DISK_BASE)
}

/// The memory that this process's children may still take, in bytes; none if the system does not say.
#[must_use]
pub fn memory_free() -> Option<u64> {
    let text = |path: &str| fs::read_to_string(path).ok();
    let machine = available_in(&text("/proc/meminfo")?)?;
    let in_group = left_in_group(text("/sys/fs/cgroup/memory.max"), text("/sys/fs/cgroup/memory.current"));
    Some(in_group.map_or(machine, |left| left.min(machine)))
}

/// The space that is free on the disk of a folder or of the nearest folder above it, in bytes; none if the system does
/// not say.
#[must_use]
pub fn disk_free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes.saturating_mul(1_024))
}

/// What a control group with a limit has left.
fn left_in_group(max: Option<String>, current: Option<String>) -> Option<u64> {
    let number = |text: Option<String>| text?.trim().parse::<u64>().ok();
    Some(number(max)?.saturating_sub(number(current)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_what_the_system_calls_available_within_the_limit_of_the_group() {
        assert_eq!(available_in("MemTotal: 10 kB\nMemAvailable:    2048 kB\n"), Some(2_097_152));
        assert_eq!(available_in("MemTotal: 10 kB\n"), None);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(left_in_group(text("max\n"), text("5\n")), None, "no limit");
        assert_eq!(left_in_group(text("100\n"), text("70\n")), Some(30));
        assert_eq!(left_in_group(None, text("70\n")), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        assert!(disk_free(&folder.path().join("a/b")).is_some_and(|free| free > 0));
    }
}
