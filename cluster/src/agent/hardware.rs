//! What the machine has that an agent runs on, and what is used of it: of its control group, if it is
//! in one, so that a container is told apart from its host.

use std::path::{Path, PathBuf};

use crate::frame::Hardware;

/// Where the system shows its control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// Returns what there is now; zeros for what the system does not say.
pub(super) fn look() -> Hardware {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let group = std::fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(group_of).map(|path| Path::new(GROUPS).join(path));
    let number = |name: &str| number_in(&group.as_ref()?.join(name));
    let about = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (total, free) = (kilobytes(&about, "MemTotal:"), kilobytes(&about, "MemAvailable:"));
    Hardware {
        cores,
        memory_bytes: number("memory.max").map_or(total, |limit| limit.min(total)),
        used_bytes: number("memory.current").unwrap_or(total.saturating_sub(free)),
        pids: number("pids.current").unwrap_or_default(),
    }
}

/// Returns the name of this host.
pub(super) fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // It becomes a part of names.
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

/// Returns the path of the control group that `/proc/self/cgroup` names.
fn group_of(text: &str) -> Option<PathBuf> {
    let line = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(line))
}

/// Returns the number in a file; none if it says `max`.
fn number_in(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Returns a line of `/proc/meminfo` in bytes.
fn kilobytes(about: &str, name: &str) -> u64 {
    let line = about.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(group_of("12:cpu:/a\n0::/b/c\n"), Some(PathBuf::from("b/c")));
        assert_eq!(group_of("12:cpu:/a\n"), None);
        let about = "MemTotal:       16 kB\nMemAvailable:    4 kB\n";
        assert_eq!(kilobytes(about, "MemAvailable:"), 4096);
        assert_eq!(kilobytes(about, "MemFree:"), 0);
        let hardware = look();
        assert!(hardware.cores > 0 && hardware.memory_bytes > 0, "{hardware:?}");
    }
}
