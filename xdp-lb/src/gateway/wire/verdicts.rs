//! What the server side learns of a connection's inspection, and tells it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use super::Fault;
use crate::gateway::Refusal;

const NONE: u64 = u64::MAX;

const UNANSWERED: u8 = 0;
const KEPT: u8 = 1;
const SWITCHED: u8 = 2;

/// What was found on one connection. Requests are counted from 0.
#[derive(Debug)]
pub struct Verdicts {
    requests: AtomicU64,
    refused: AtomicU64,
    fault: OnceLock<Fault>,
    rests: AtomicBool,
    /// The request that asks for another protocol, and was not answered.
    asked: AtomicU64,
    answer: AtomicU8,
    reader: Mutex<Option<Waker>>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(NONE),
            fault: OnceLock::new(),
            rests: AtomicBool::new(true),
            asked: AtomicU64::new(NONE),
            answer: AtomicU8::new(UNANSWERED),
            reader: Mutex::new(None),
        }
    }
}

impl Verdicts {
    /// The refusal of this request, if it is a stand-in for one that was refused. To be asked for each request, before
    /// anything of it is looked at.
    pub fn take(&self, request: u64) -> Option<Refusal> {
        if self.refused.load(Ordering::Acquire) != request {
            return None;
        }
        self.fault.get().map(|fault| Refusal::from(*fault))
    }

    /// Whether no byte of a request that has begun is inside. Together with as many answers given as there were
    /// [`requests`](Self::requests), the connection may be parked.
    pub fn is_at_rest(&self) -> bool {
        self.rests.load(Ordering::Acquire)
    }

    /// Heads passed on, stand-ins not counted.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Tells how a request is answered: with 101, or otherwise. To be called for each request before its answer's
    /// head is written: one that asked for another protocol holds up what follows it until then.
    pub fn answered(&self, request: u64, switched: bool) {
        if self.asked.load(Ordering::Acquire) != request {
            return;
        }
        self.asked.store(NONE, Ordering::Release);
        self.answer.store(if switched { SWITCHED } else { KEPT }, Ordering::Release);
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// So many heads were passed on; the last one asks for another protocol or not.
    pub(super) fn passed(&self, requests: u64, asked: bool) {
        if asked {
            self.asked.store(requests - 1, Ordering::Release);
        }
        self.requests.store(requests, Ordering::Release);
    }

    pub(super) fn refuse(&self, request: u64, fault: Fault) {
        if self.fault.set(fault).is_ok() {
            self.refused.store(request, Ordering::Release);
        }
    }

    pub(super) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Release);
    }

    /// How the request for another protocol was answered; the reader is woken when it is.
    pub(super) fn answer(&self, context: &Context<'_>) -> Option<bool> {
        if let Some(answer) = self.take_answer() {
            return Some(answer);
        }
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        self.take_answer()
    }

    fn take_answer(&self) -> Option<bool> {
        match self.answer.swap(UNANSWERED, Ordering::AcqRel) {
            UNANSWERED => None,
            answer => Some(answer == SWITCHED),
        }
    }
}
