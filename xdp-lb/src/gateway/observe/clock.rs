//! Times as logs write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `2026-11-24T12:00:00.250Z`, RFC 3339.
pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// `24/Nov/2026:12:00:00 +0000`, as the "combined" format has it.
pub(super) fn common(time: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let month = part(5..7).parse().ok().and_then(|month: usize| MONTHS.get(month.wrapping_sub(1)));
    format!("{}/{}/{}:{} +0000", part(8..10), month.unwrap_or(&"Jan"), part(0..4), part(11..19))
}

/// Nanoseconds since 1970.
pub(super) fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_logs_have_them() {
        for (seconds, long, short) in [
            (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000"),
            (1_795_521_600, "2026-11-24T12:00:00.000Z", "24/Nov/2026:12:00:00 +0000"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!((rfc3339(time).as_str(), common(time).as_str()), (long, short));
            assert_eq!(unix_nanos(time), seconds * 1_000_000_000);
        }
    }
}
