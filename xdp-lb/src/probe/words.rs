//! System and protocol errors in the few words that an operator wants in a status line.

use std::error::Error;
use std::io;

/// What a socket error means.
pub(crate) fn io(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::ConnectionAborted => "connection aborted",
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => "connection closed before the answer",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::TimedOut => "no answer: the kernel gave up",
        io::ErrorKind::AddrNotAvailable => "no free local port or address",
        io::ErrorKind::PermissionDenied => "forbidden by this machine's firewall",
        _ => return without_number(error),
    };
    words.to_owned()
}

/// What went wrong in HTTP.
pub(crate) fn hyper(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        return "the answer's headers are too large".to_owned();
    }
    if error.is_parse() {
        return "the answer is not HTTP/1".to_owned();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return "connection closed before the answer".to_owned();
    }
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) => io(source),
        None => error.to_string(),
    }
}

/// The system's own words, without the number it appends.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_errors_are_plain_words() {
        for (number, words) in [
            (libc::ECONNREFUSED, "connection refused"),
            (libc::EHOSTUNREACH, "host unreachable"),
            (libc::ENETUNREACH, "network unreachable"),
            (libc::EMFILE, "too many open files"),
        ] {
            assert_eq!(io(&io::Error::from_raw_os_error(number)), words);
        }
    }
}
