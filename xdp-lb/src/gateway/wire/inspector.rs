//! The state machine over the bytes of one connection, in one direction: what of them may be passed on.

use super::chunks::Chunks;
use super::head::{Content, Head};
use super::trailers::Trailers;
use super::{Bounds, Fault};
use crate::gateway::Reason::BadSyntax;

/// Reads the requests of one connection, and passes on what is certain.
///
/// ```text
///          head complete          content complete
///   Head ───────────────► Length ─────────────────► Head, or Asked after a request for an upgrade
///     ▲ └───────────────► Chunks ──► Trailers ────►
///     └── answered otherwise ── Asked ── answered with 101 ──► Open: whatever comes
/// ```
///
/// Its verdict on some bytes does not depend on how they are cut.
#[derive(Debug)]
pub struct Inspector {
    bounds: Bounds,
    at: At,
    /// What comes after the present request.
    next: Next,
    /// Heads passed on.
    requests: u64,
    /// An empty line came since the last request.
    blank: bool,
    /// Bytes of a head are not passed on yet.
    begun: bool,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum At {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    Trailers(Trailers),
    Asked,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    Asked,
    Open,
}

/// What is to be done with the bytes that an [`Inspector`] was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// So many at the begin may be passed on.
    pub pass: usize,
    /// So many after these are to be thrown away, and the rest shown at once: an empty line before a request.
    pub skip: usize,
    /// What follows breaks the rules: nothing more may be passed on, ever.
    pub fault: Option<Fault>,
}

impl Inspector {
    /// At the begin of a connection.
    pub fn new(bounds: Bounds) -> Self {
        let at = At::Head(Head::default());
        Self { bounds, at, next: Next::Request, requests: 0, blank: false, begun: false, fault: None }
    }

    /// Looks at bytes: those that it did not let pass before, from the first on, and further ones.
    pub fn advance(&mut self, bytes: &[u8]) -> Advance {
        let (mut pass, mut skip) = (0, 0);
        while self.fault.is_none() && pass < bytes.len() {
            match self.step(&bytes[pass..]) {
                Ok(Step::Pass(0)) => break,
                Ok(Step::Pass(count)) => pass += count,
                Ok(Step::Skip(count)) => {
                    skip = count;
                    break;
                }
                Err((count, fault)) => {
                    pass += count;
                    self.fault = Some(fault);
                }
            }
        }
        self.begun = matches!(self.at, At::Head(_)) && pass + skip < bytes.len();
        Advance { pass, skip, fault: self.fault }
    }

    /// Heads that it let pass.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether it is between two requests.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.at, At::Head(_)) && !self.begun && self.fault.is_none()
    }

    /// Whether a head has begun, and is not complete.
    pub fn is_within_head(&self) -> bool {
        self.begun && self.fault.is_none()
    }

    /// Whether the last request asks for another protocol, and [`Self::answered`] was not called since.
    pub fn is_asked(&self) -> bool {
        self.next == Next::Asked
    }

    /// Whether nothing more passes before [`Self::answered`] is called: what follows may be another protocol's.
    pub fn waits(&self) -> bool {
        matches!(self.at, At::Asked)
    }

    /// Whether a fault was found within the content of a request whose head has passed.
    pub fn is_within_content(&self) -> bool {
        matches!(self.at, At::Length(_) | At::Chunks(_) | At::Trailers(_))
    }

    /// Tells how the request for another protocol was answered: with 101, or otherwise.
    pub fn answered(&mut self, switched: bool) {
        if self.next == Next::Asked {
            self.next = if switched { Next::Open } else { Next::Request };
            if matches!(self.at, At::Asked) {
                self.follow();
            }
        }
    }

    /// Refuses the rest for a reason that is not in the bytes.
    pub fn refuse(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Step, (usize, Fault)> {
        match &mut self.at {
            At::Head(head) => {
                if bytes[0] == b'\r' {
                    return self.empty_line(bytes).map_err(|fault| (0, fault));
                }
                let Some(framing) = head.advance(bytes, &self.bounds).map_err(|fault| (0, fault))? else {
                    return Ok(Step::Pass(0));
                };
                self.requests += 1;
                self.blank = false;
                self.next = if framing.upgrade { Next::Asked } else { Next::Request };
                match framing.content {
                    Content::Length(0) => self.follow(),
                    Content::Length(length) => self.at = At::Length(length),
                    Content::Chunked => self.at = At::Chunks(Chunks::default()),
                }
                Ok(Step::Pass(framing.length))
            }
            At::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.follow();
                }
                Ok(Step::Pass(taken))
            }
            At::Chunks(chunks) => {
                let (taken, is_last) = chunks.advance(bytes);
                if is_last.map_err(|fault| (taken, fault))? {
                    self.at = At::Trailers(Trailers::default());
                }
                Ok(Step::Pass(taken))
            }
            At::Trailers(trailers) => {
                let whole = trailers.advance(bytes, &self.bounds).map_err(|fault| (0, fault))?;
                if whole.is_some() {
                    self.follow();
                }
                Ok(Step::Pass(whole.unwrap_or(0)))
            }
            At::Asked => Ok(Step::Pass(0)),
            At::Open => Ok(Step::Pass(bytes.len())),
        }
    }

    /// One is let go by, as old clients send one after a form's content (RFC 9112 section 2.2).
    fn empty_line(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        match bytes.get(1) {
            None => Ok(Step::Pass(0)),
            Some(b'\n') if !self.blank => {
                self.blank = true;
                Ok(Step::Skip(2))
            }
            Some(b'\n') => Err(Fault::new(BadSyntax, "more than one empty line stands before a request")),
            Some(_) => Err(Fault::new(BadSyntax, "a carriage return stands alone")),
        }
    }

    fn follow(&mut self) {
        self.at = match self.next {
            Next::Request => At::Head(Head::default()),
            Next::Asked => At::Asked,
            Next::Open => At::Open,
        };
    }
}

enum Step {
    /// None: more bytes are needed.
    Pass(usize),
    Skip(usize),
}
