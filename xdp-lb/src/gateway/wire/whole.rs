//! All bytes of a connection at once: for tests and fuzzing.

use std::ops::Range;

use super::{Bounds, Fault, Inspector};

/// What became of some of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A request passed.
    Request {
        /// Its head.
        head: Range<usize>,
        /// What follows of it, chunks as they came.
        content: Range<usize>,
    },
    /// From this byte on all is refused.
    Refused {
        /// The byte up to which all was passed on.
        at: usize,
        /// Why.
        fault: Fault,
        /// A head, rather than the content of a request that was passed on.
        in_head: bool,
    },
}

/// Every request in these bytes, and the refusal that ends them. What is not complete at the end is left out, as what
/// follows a request whose content is not complete. Other protocols are refused to those that ask for them.
pub fn inspect_all(bytes: &[u8], bounds: Bounds) -> Vec<Verdict> {
    let mut inspector = Inspector::new(bounds);
    let mut verdicts = Vec::new();
    let mut head = None;
    let mut from = 0;
    // One byte more at a time, so that every end shows.
    for end in 1..=bytes.len() {
        let requests = inspector.requests();
        let step = inspector.advance(&bytes[from..end]);
        inspector.answered(false);
        if inspector.requests() != requests {
            head = Some(from..end);
        }
        from += step.pass + step.skip;
        if let Some(fault) = step.fault {
            let in_head = !inspector.is_within_content();
            verdicts.push(Verdict::Refused { at: from, fault, in_head });
            break;
        }
        if inspector.is_at_rest()
            && let Some(head) = head.take()
        {
            let content = head.end..from;
            verdicts.push(Verdict::Request { head, content });
        }
    }
    verdicts
}

/// Whether the verdict on these bytes is the same when they come at once, one by one, and in pieces that `seed` tells.
pub fn is_split_independent(bytes: &[u8], seed: u64, bounds: Bounds) -> bool {
    let mut state = seed | 1;
    let mut random = move || {
        // Marsaglia's xorshift: any cuts will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let at_once = outcome(bytes, bounds, || usize::MAX);
    at_once == outcome(bytes, bounds, || 1)
        && at_once == outcome(bytes, bounds, || usize::try_from(random() % 23).unwrap_or(0) + 1)
}

/// Bytes passed on, requests among them, and the fault.
fn outcome(
    bytes: &[u8],
    bounds: Bounds,
    mut piece: impl FnMut() -> usize,
) -> (Vec<u8>, u64, Option<Fault>, bool) {
    let mut inspector = Inspector::new(bounds);
    let mut passed = Vec::new();
    let (mut from, mut end) = (0, 0);
    let mut fault = None;
    while end < bytes.len() && fault.is_none() {
        end = end.saturating_add(piece()).min(bytes.len());
        loop {
            let step = inspector.advance(&bytes[from..end]);
            passed.extend_from_slice(&bytes[from..from + step.pass]);
            from += step.pass + step.skip;
            fault = step.fault;
            let asked = inspector.is_asked();
            inspector.answered(false);
            if step.skip == 0 && !asked {
                break;
            }
        }
    }
    (passed, inspector.requests(), fault, inspector.is_at_rest())
}
