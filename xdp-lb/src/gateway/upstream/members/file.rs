//! Servers listed in a file, which is read again when it changes.

use std::fs::Metadata;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::super::Pool;
use super::Member;
use crate::config::Weight;
use crate::regular;

/// How a file is told from what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// A file that is written again within the clock's resolution differs in nothing else.
    changed: (i64, i64),
}

impl Print {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Looks at the file every `interval`, until dropped. What is wrong keeps the servers as they were.
pub(super) async fn follow(pool: &Pool, path: &Path, interval: Duration) {
    let mut last = None;
    loop {
        match look(path, last).await {
            Ok(None) => {}
            Ok(Some((print, Ok(members)))) => {
                last = Some(print);
                pool.set_members(&members);
                pool.tell_source(None);
            }
            Ok(Some((print, Err(problem)))) => {
                last = Some(print);
                pool.tell_source(Some(format!("{}: {problem}", path.display())));
            }
            Err(problem) => {
                last = None;
                pool.tell_source(Some(format!("{}: {problem}", path.display())));
            }
        }
        tokio::time::sleep(interval).await;
    }
}

/// A file as it was found, and what stands in it.
type Look = (Print, Result<Vec<Member>, String>);

/// `None` if the file is as it was at `last`.
async fn look(path: &Path, last: Option<Print>) -> Result<Option<Look>, String> {
    let path = path.to_owned();
    let look = move || {
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&error))?;
        if last == Some(Print::of(&metadata)) { Ok(None) } else { open(&path).map(Some) }
    };
    tokio::task::spawn_blocking(look).await.map_err(|error| format!("was not read: {error}"))?
}

/// The servers listed in the file. Blocks.
pub(super) fn read(path: &Path) -> Result<(Print, Vec<Member>), String> {
    let (print, members) = open(path)?;
    Ok((print, members?))
}

fn open(path: &Path) -> Result<Look, String> {
    let file = regular::open(path).map_err(|error| unreadable(&error))?;
    let print = Print::of(&file.metadata().map_err(|error| unreadable(&error))?);
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
    if text.len() as u64 > LONGEST {
        return Ok((print, Err("is longer than 4 MiB: list fewer servers".to_owned())));
    }
    Ok((print, parse(&text)))
}

fn unreadable(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

const EXPECTED: &str = r#"a JSON list like [{"address": "10.0.0.1:80", "weight": 100, "name": "a"}]"#;

/// Longer lists are a mistake.
const LONGEST: u64 = 4 << 20;

/// The servers that a list names.
fn parse(text: &[u8]) -> Result<Vec<Member>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        address: SocketAddr,
        weight: Option<u16>,
        name: Option<String>,
    }
    let entries: Vec<Entry> =
        serde_json::from_slice(text).map_err(|error| format!("{error}; expected {EXPECTED}"))?;
    if entries.is_empty() {
        return Err("lists no server: give servers that are to take nothing the weight 0".to_owned());
    }
    let mut members: Vec<Member> = Vec::with_capacity(entries.len());
    let mut names = std::collections::HashSet::new();
    for (number, entry) in (1..).zip(entries) {
        let name = entry.name.unwrap_or_else(|| entry.address.to_string());
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(format!(
                "server {number}: the name {name:?} is empty, too long or has control characters"
            ));
        }
        if entry.address.port() == 0 {
            return Err(format!(
                "server {number}: the address {} has no port from 1 to 65535",
                entry.address
            ));
        }
        if !names.insert(name.clone()) {
            return Err(format!("server {number}: {name:?} is listed before: give each a name of its own"));
        }
        let weight = entry.weight.unwrap_or(Weight::DEFAULT.get());
        members.push(Member { name: name.into(), address: entry.address, weight: f64::from(weight) });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let text = br#"[{"address": "10.0.0.1:80", "weight": 7, "name": "a"}, {"address": "[::1]:81"}]"#;
        let members = parse(text).unwrap();
        let short: Vec<_> = members.iter().map(|m| (&*m.name, m.address.to_string(), m.weight)).collect();
        assert_eq!(short, [("a", "10.0.0.1:80".to_owned(), 7.0), ("[::1]:81", "[::1]:81".to_owned(), 100.0)]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, told) in [
            ("", "EOF"),
            ("[]", "lists no server"),
            ("{}", "expected a JSON list"),
            (r#"[{"address": "10.0.0.1"}]"#, "invalid socket address syntax at line 1 column 23"),
            (r#"[{"weight": 1}]"#, "missing field `address`"),
            (r#"[{"address": "10.0.0.1:80", "wieght": 1}]"#, "unknown field `wieght`"),
            (r#"[{"address": "10.0.0.1:80", "weight": 65536}]"#, "65536"),
            (r#"[{"address": "10.0.0.1:80", "weight": -1}]"#, "-1"),
            (r#"[{"address": "10.0.0.1:0"}]"#, "server 1: the address 10.0.0.1:0 has no port"),
            (r#"[{"address": "10.0.0.1:80", "name": ""}]"#, "server 1: the name \"\" is empty"),
            (r#"[{"address": "10.0.0.1:80", "name": "a\nb"}]"#, "control characters"),
            (
                r#"[{"address": "10.0.0.1:80"}, {"address": "10.0.0.1:80"}]"#,
                "server 2: \"10.0.0.1:80\" is listed before",
            ),
            (r#"[{"address": "10.0.0.1:80"}] x"#, "trailing characters"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }
}
