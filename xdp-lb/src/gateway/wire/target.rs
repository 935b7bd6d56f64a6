//! The forms of a request's target (RFC 9112 section 3.2).

use super::Fault;
use crate::gateway::Reason::BadTarget;

/// Where the authority is, in absolute form; none in the others. The form has to be one that the method may have.
pub(super) fn form(method: &[u8], target: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    match target {
        [b'/', ..] => Ok(None),
        b"*" if method == b"OPTIONS" => Ok(None),
        b"*" => Err(Fault::new(BadTarget, "the target * is for OPTIONS only")),
        _ => absolute(target).map(Some),
    }
}

fn absolute(target: &[u8]) -> Result<(usize, usize), Fault> {
    let start = [b"http://".as_slice(), b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)))
        .map(<[u8]>::len)
        .ok_or(Fault::new(BadTarget, "the target is neither a path nor a URI of HTTP"))?;
    let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    Ok((start, length.map_or(target.len(), |length| start + length)))
}
