//! The same bytes to nginx and to hyper behind the gateway's inspector: what nginx refuses the gateway refuses, and what
//! both take they take as the same number of requests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "strictness/nginx.rs"]
mod nginx;
#[path = "strictness/ours.rs"]
mod ours;
#[path = "strictness/rows.rs"]
mod rows;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rows::Row;
use xdp_lb::gateway::wire::is_split_independent;

/// Connections to nginx at a time.
const AT_ONCE: usize = 24;

/// Status of each answer in these bytes, `100 Continue` left out.
fn statuses(text: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(text);
    let begins = text.match_indices("HTTP/1.").map(|(at, begin)| at + begin.len() + 2);
    begins.filter_map(|at| text.get(at..at + 3)?.parse().ok()).filter(|status| *status != 100).collect()
}

fn taken(statuses: &[u16]) -> usize {
    statuses.iter().take_while(|status| **status < 400).count()
}

#[test]
fn the_corpus_is_refused_as_it_says_however_it_is_cut() {
    for (number, row) in rows::all().iter().enumerate() {
        let bytes = row.bytes();
        let name = row.name();
        let ours = ours::answers(&bytes);
        assert_eq!(ours.reason, row.refused, "{name}: {ours:?}");
        assert_eq!(taken(&ours.statuses), row.taken, "{name}: {ours:?}");
        assert!(is_split_independent(&bytes, number as u64 * 77 + 5, ours::BOUNDS), "{name}");
    }
}

#[test]
fn nothing_that_nginx_refuses_is_taken() {
    let rows = rows::all();
    let nginx = nginx::Nginx::start().unwrap();
    let next = AtomicUsize::new(0);
    let lines = Mutex::new(Vec::new());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (line, is_right) = compare(&nginx, row);
                    if !is_right {
                        wrong.lock().unwrap().push(line.clone());
                    }
                    lines.lock().unwrap().push(line);
                }
            });
        }
    });
    let (mut lines, wrong) = (lines.into_inner().unwrap(), wrong.into_inner().unwrap());
    lines.sort();
    println!("{}", lines.join("\n"));
    assert_eq!(lines.len(), rows.len());
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// A line for people, and whether the rule holds.
fn compare(nginx: &nginx::Nginx, row: &Row) -> (String, bool) {
    let bytes = row.bytes();
    let ours = ours::answers(&bytes);
    let theirs = nginx.answers(&bytes).unwrap();
    let reason = ours.reason.map_or("", xdp_lb::gateway::Reason::word);
    let (our_count, their_count) = (taken(&ours.statuses), taken(&theirs));
    let they_refuse = their_count < theirs.len();
    let line = format!("{:60} gateway {:?} {reason} | nginx {theirs:?}", row.name(), ours.statuses);
    // What was taken before a refusal has to be the same, or less.
    let holds = match ours.reason {
        Some(_) => our_count <= their_count,
        None => our_count == their_count && !they_refuse,
    };
    (line, holds)
}
