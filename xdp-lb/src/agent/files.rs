//! How many files the agent may have open, and so how many health checks at once.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as it goes. How many of them health checks may take: half.
pub(super) fn for_checks() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    // A service manager leaves the soft limit at 1024 for the sake of select(2), which nothing here uses.
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != raised.current && setrlimit(Resource::Nofile, raised).is_ok() {
        limit = raised;
    }
    half(limit.current)
}

/// No limit counts as 2^20, the kernel's own for one process unless it is raised.
fn half(files: Option<u64>) -> usize {
    let files = files.unwrap_or(1 << 20).min(1 << 20);
    usize::try_from(files / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_checks() {
        for (files, checks) in [
            (Some(1024), 512),
            (Some(20_000), 10_000),
            (Some(1), 1),
            (None, 1 << 19),
            (Some(u64::MAX), 1 << 19),
        ] {
            assert_eq!(half(files), checks, "{files:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let checks = for_checks();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!((limit.current, checks), (limit.maximum, half(limit.maximum)));
    }
}
