//! Which bytes may stand where.

/// Part of a token (RFC 9110 section 5.6.2).
pub(super) const TOKEN: u8 = 1;

/// Part of a method: capitals, `-` and `_`, which is what all registered ones are made of. Some servers read others
/// without regard to case.
pub(super) const METHOD: u8 = 2;

/// Part of a target before its `?`. RFC 3986's `pchar` and `/`, and `[ ] ^ { | }`, which browsers leave as they are and
/// no server reads otherwise. Not `\`, which some servers take for `/`, and not `#`, after which some end.
pub(in crate::gateway) const PATH: u8 = 4;

/// Part of a query: as of a path, and `?`, `\` and `` ` ``, which browsers leave as they are.
pub(super) const QUERY: u8 = 8;

/// Part of a host's name. RFC 3986 allows `!$&'()*+,;=` and escapes too: no name that can be resolved has them, and
/// they end or join names in configurations and lists.
pub(super) const HOST: u8 = 16;

static CLASSES: [u8; 256] = classes();

/// Whether a byte is of a class.
#[inline]
pub(in crate::gateway) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many bytes at the begin are of a class.
#[inline]
pub(super) fn run(bytes: &[u8], class: u8) -> usize {
    let mut at = 0;
    while at < bytes.len() && is(bytes[at], class) {
        at += 1;
    }
    at
}

/// Where the first control character other than a tab is.
#[inline]
pub(super) fn control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        // The lowest bit set is that of the first byte below 0x20, or the first 0x7f; higher ones may be false.
        let low = word.wrapping_sub(ONES * 0x20) & !word;
        let deleted = word ^ (ONES * 0x7f);
        let found = (low | (deleted.wrapping_sub(ONES) & !deleted)) & HIGH;
        if found == 0 {
            at += 8;
            continue;
        }
        at += (found.trailing_zeros() / 8) as usize;
        if bytes[at] != b'\t' {
            return Some(at);
        }
        at += 1;
    }
    bytes[at..].iter().position(|byte| byte.is_ascii_control() && *byte != b'\t').map(|found| at + found)
}

const fn classes() -> [u8; 256] {
    let mut classes = mark([0; 256], b"!#$%&'*+-.^_`|~", TOKEN);
    classes = mark(classes, b"-_", METHOD);
    classes = mark(classes, b"-._~!$&'()*+,;=:@%/[]^{|}", PATH | QUERY);
    classes = mark(classes, b"?\\`", QUERY);
    classes = mark(classes, b"-._~", HOST);
    let mut byte = 0;
    while byte < 128u8 {
        if byte.is_ascii_alphanumeric() {
            classes[byte as usize] |= TOKEN | PATH | QUERY | HOST;
        }
        if byte.is_ascii_uppercase() {
            classes[byte as usize] |= METHOD;
        }
        byte += 1;
    }
    classes
}

const fn mark(mut classes: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut at = 0;
    while at < bytes.len() {
        classes[bytes[at] as usize] |= class;
        at += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_found_wherever_they_are() {
        for length in 0..40 {
            for byte in 0..=255u8 {
                for at in 0..length {
                    let mut bytes = vec![b'\t'; length];
                    bytes[at] = byte;
                    let expected = (byte != b'\t' && byte.is_ascii_control()).then_some(at);
                    assert_eq!(control(&bytes), expected, "{byte:#x} at {at} of {length}");
                }
            }
        }
        assert_eq!(control(b"\x20\x80\xff\x7e~~~~\x7f\x01"), Some(8));
        assert_eq!(control(b"\x20\x80\xff\x7e~~\x01\x7f"), Some(6));
    }

    #[test]
    fn what_may_stand_in_a_target_is_read_by_the_http_crate_too() {
        for byte in 0..=255u8 {
            for (class, prefix) in [(PATH, "/a"), (QUERY, "/a?")] {
                if is(byte, class) {
                    let target = format!("{prefix}{}", char::from(byte));
                    assert!(target.parse::<http::Uri>().is_ok(), "{target}");
                }
            }
        }
    }
}
