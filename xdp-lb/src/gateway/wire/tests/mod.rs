//! Tables and properties of the inspector, and the adapter in front of a real hyper.

mod against_hyper;
mod limits;
mod rejections;
mod stream;

use std::time::Duration;

use super::{Bounds, Fault, Verdict, inspect_all, is_split_independent};

const BOUNDS: Bounds =
    Bounds { headers: 64, header_bytes: 4096, uri_bytes: 1024, header_timeout: Duration::from_secs(5) };

/// A head and the content behind it.
type Message<'a> = (&'a [u8], &'a [u8]);

/// Where, why, and whether within a head.
type Refused = (usize, Fault, bool);

/// Heads with the contents behind them, and the fault that ended it.
fn read(bytes: &[u8], bounds: Bounds) -> (Vec<Message<'_>>, Option<Refused>) {
    assert!(is_split_independent(bytes, 7, bounds), "{}", bytes.escape_ascii());
    let mut requests = Vec::new();
    let mut refused = None;
    for verdict in inspect_all(bytes, bounds) {
        match verdict {
            Verdict::Request { head, content } => requests.push((&bytes[head], &bytes[content])),
            Verdict::Refused { at, fault, in_head } => refused = Some((at, fault, in_head)),
        }
    }
    (requests, refused)
}
