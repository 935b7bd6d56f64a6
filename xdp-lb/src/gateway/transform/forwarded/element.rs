use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

use crate::gateway::Scheme;

/// An element of `Forwarded`, to be written (RFC 7239, 4).
pub(super) struct Written {
    pub(super) remote: IpAddr,
    pub(super) host: Option<HeaderValue>,
    pub(super) scheme: Scheme,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remote {
            IpAddr::V4(address) => write!(f, "for={address}")?,
            IpAddr::V6(address) => write!(f, "for=\"[{address}]\"")?,
        }
        if let Some(host) = self.host.as_ref().and_then(|host| host.to_str().ok()) {
            if is_token(host) {
                write!(f, ";host={host}")?;
            } else {
                f.write_str(";host=\"")?;
                for character in host.chars() {
                    if matches!(character, '"' | '\\') {
                        f.write_str("\\")?;
                    }
                    fmt::Write::write_char(f, character)?;
                }
                f.write_str("\"")?;
            }
        }
        write!(f, ";proto={}", self.scheme.as_str())
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// An element of `Forwarded`, as it was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) address: Option<IpAddr>,
    pub(super) scheme: Option<Scheme>,
}

/// The elements of a list; `None` for one that is none.
pub(super) fn elements(list: &str) -> Vec<Option<Read>> {
    split(list, ',').into_iter().map(element).collect()
}

fn element(text: &str) -> Option<Read> {
    let mut read = Read::default();
    for pair in split(text, ';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case("for") {
            read.address = address(&value);
        } else if name.eq_ignore_ascii_case("proto") {
            read.scheme = scheme(&value);
        }
    }
    Some(read)
}

/// The pieces between separators that are not within a quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => return !quoted && character == separator,
        }
        false
    })
    .collect()
}

fn unquoted(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return is_token(value).then(|| value.to_owned());
    };
    let mut out = String::new();
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(out),
            '\\' => out.push(characters.next()?),
            other => out.push(other),
        }
    }
}

/// An address with or without port; an IPv6 one in brackets, or bare.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bracketed =
        || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(address.to_canonical())
}

pub(super) fn scheme(text: &str) -> Option<Scheme> {
    if text.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else if text.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else {
        None
    }
}
