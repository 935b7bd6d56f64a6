//! System and protocol errors in the few words that an operator wants in a status line.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

/// What a socket error means; TLS reports its own as such.
pub(crate) fn io(error: &io::Error) -> String {
    if let Some(error) = inner_tls(error) {
        return tls(error);
    }
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

/// What went wrong in a TLS handshake.
pub(crate) fn handshake(error: &io::Error) -> String {
    match inner_tls(error) {
        Some(error) => tls(error),
        None => format!("TLS handshake: {}", io(error)),
    }
}

/// What rustls found wrong.
pub(super) fn tls(error: &rustls::Error) -> String {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(error) => certificate(error),
        E::AlertReceived(AlertDescription::CertificateRequired) => {
            "TLS handshake: the server asks for a client certificate".to_owned()
        }
        E::AlertReceived(alert) => format!("TLS handshake: the server refuses: {alert:?}"),
        E::InvalidMessage(_) | E::InappropriateMessage { .. } => {
            "TLS handshake: the answer is not TLS".to_owned()
        }
        _ => format!("TLS handshake: {error}"),
    }
}

fn certificate(error: &CertificateError) -> String {
    use CertificateError as C;
    match error {
        C::Expired => "certificate expired".to_owned(),
        C::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("certificate expired {} ago", humantime::format_duration(coarse(ago)))
        }
        C::NotValidYet => "certificate is not valid yet".to_owned(),
        C::NotValidYetContext { time, not_before } => {
            let left = not_before.as_secs().saturating_sub(time.as_secs());
            format!("certificate is not valid yet, for another {}", humantime::format_duration(coarse(left)))
        }
        C::UnknownIssuer => "certificate of an unknown issuer".to_owned(),
        C::NotValidForNameContext { expected, presented } => {
            format!("certificate is for other names: {}, not {}", names(presented), expected.to_str())
        }
        C::NotValidForName => "certificate is for other names".to_owned(),
        C::BadSignature => "certificate with a wrong signature".to_owned(),
        C::BadEncoding => "certificate is broken".to_owned(),
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows a CA's own certificate: give it one that the CA issued, or set verify = false"
                .to_owned()
        }
        other => format!("certificate: {other}"),
    }
}

/// Names of a certificate, the first few; rustls writes them as `DnsName("a.example")` and `IpAddress(10.0.0.1)`.
fn names(presented: &[String]) -> String {
    const MOST: usize = 3;
    if presented.is_empty() {
        return "it has none".to_owned();
    }
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner.trim_end_matches(')'));
        inner.trim_matches('"').to_owned()
    };
    let shown: Vec<String> = presented.iter().take(MOST).map(bare).collect();
    let more = presented.len().saturating_sub(MOST);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &more
}

/// In its largest unit or two: nobody wants to know by how many seconds a year was missed.
fn coarse(seconds: u64) -> Duration {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    Duration::from_secs(seconds / unit * unit)
}

fn inner_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
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

    #[test]
    fn tls_errors_are_plain_words() {
        use rustls::pki_types::{ServerName, UnixTime};
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let other_name = |names: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("web.example").unwrap(),
            presented: names.iter().map(|name| format!("DnsName(\"{name}\")")).collect(),
        };
        let rows: Vec<(rustls::Error, &str)> = vec![
            (
                CertificateError::ExpiredContext { time: at(100_000), not_after: at(9_000) }.into(),
                "certificate expired 1day ago",
            ),
            (
                CertificateError::NotValidYetContext { time: at(100), not_before: at(160) }.into(),
                "certificate is not valid yet, for another 1m",
            ),
            (CertificateError::UnknownIssuer.into(), "certificate of an unknown issuer"),
            (other_name(&["a.example"]).into(), "certificate is for other names: a.example, not web.example"),
            (
                other_name(&["a", "b", "c", "d", "e"]).into(),
                "certificate is for other names: a, b, c and 2 more, not web.example",
            ),
            (other_name(&[]).into(), "certificate is for other names: it has none, not web.example"),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "TLS handshake: the answer is not TLS",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "TLS handshake: the server refuses: HandshakeFailure",
            ),
        ];
        for (error, words) in rows {
            assert_eq!(tls(&error), words);
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!((io(&error), handshake(&error)), (words.to_owned(), words.to_owned()));
        }
        let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(handshake(&closed), "TLS handshake: connection closed before the answer");
    }
}
