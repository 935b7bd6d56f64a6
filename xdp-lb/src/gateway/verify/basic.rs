//! Users and passwords (RFC 7617), of which a file holds Argon2id hashes.
//!
//! A hash takes tens of milliseconds and megabytes by design. So it is worked out on threads of its own, few at once; what
//! was found right is remembered for a minute under a keyed digest of user and password; and more than a short queue of
//! requests that wait for it is refused with 503. An unknown user's password is checked against a hash that nothing
//! matches, so that the time does not tell who is known.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Semaphore;

use super::credentials::{Found, find};
use super::error::Mistake;
use super::file::{Watched, lines};
use super::known::{Check, Known, NO_CLAIMS, Passing};
use super::{BuildError, FileError};

/// How long a password that was right is not checked again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Passwords remembered at once.
const MOST_REMEMBERED: usize = 4096;
/// Hashes worked out at once.
const AT_ONCE: usize = 2;
/// Requests that wait for that.
const WAITING: usize = 64;
/// Cost of a hash at most: 1 GiB, and passes over it.
const MOST_MEMORY: u32 = 1 << 20;
const MOST_PASSES: u32 = 64;

pub(super) struct Basic {
    users: Watched<Users>,
    /// Kept over a reload.
    remembered: Arc<Remembered>,
}

struct Users {
    by_name: HashMap<Box<str>, User>,
    /// Costs what the file's first hash costs, and matches nothing.
    nobody: Arc<PasswordHash>,
}

#[derive(Clone)]
struct User {
    hash: Arc<PasswordHash>,
    known: Arc<Known>,
}

/// Passwords that were right lately.
struct Remembered {
    key: hmac::Key,
    right: Mutex<HashMap<[u8; 32], Right>>,
    workers: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

struct Right {
    /// What it was right for. Another hash of the user in the file makes this void.
    hash: Arc<PasswordHash>,
    until: Instant,
}

impl Basic {
    pub(super) fn open(path: &Path, passing: Passing, before: Option<&Self>) -> Result<Self, BuildError> {
        let verifier = passing.verifier.clone();
        let users = Watched::open(&verifier, path, move |bytes| parse(bytes, &passing))?;
        let remembered = match before {
            Some(before) => before.remembered.clone(),
            None => Arc::new(Remembered::new().ok_or(BuildError::NoRandomness)?),
        };
        Ok(Self { users, remembered })
    }

    pub(super) fn refresh(&self) -> Result<bool, FileError> {
        self.users.refresh()
    }

    /// What can be told without working out a hash.
    pub(super) fn check(&self, headers: &HeaderMap, now: Instant) -> Check {
        match credentials(headers) {
            Ok(None) => Check::Absent,
            Err(why) => Check::Refused(why),
            Ok(Some(credentials)) => {
                let digest = self.remembered.digest(&credentials);
                self.recall(&credentials, &digest, now).map_or(Check::Later, Check::Known)
            }
        }
    }

    /// Works the hash out.
    pub(super) async fn settle(&self, headers: &HeaderMap, now: Instant) -> Check {
        let credentials = match credentials(headers) {
            Ok(None) => return Check::Absent,
            Err(why) => return Check::Refused(why),
            Ok(Some(credentials)) => credentials,
        };
        let Ok(_place) = self.remembered.waiting.try_acquire() else {
            return Check::Down("too many passwords wait to be checked");
        };
        let Ok(worker) = self.remembered.workers.clone().acquire_owned().await else {
            return Check::Down("no password can be checked any more");
        };
        let digest = self.remembered.digest(&credentials);
        // Another request with the same password may have been before this one in the queue.
        if let Some(known) = self.recall(&credentials, &digest, now) {
            return Check::Known(known);
        }
        let (user, hash) = {
            let Some(users) = self.users.slot.get() else {
                return Check::Down("the file of users was never read");
            };
            let user = users.value.by_name.get(credentials.user()).cloned();
            let hash = user.as_ref().map_or(&users.value.nobody, |user| &user.hash).clone();
            (user, hash)
        };
        let checked = hash.clone();
        let right = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a client that goes away does not start more of it.
            let _worker = worker;
            Argon2::default().verify_password(credentials.password(), &*checked).is_ok()
        });
        match (right.await, user) {
            (Ok(true), Some(user)) => {
                self.remembered.keep(digest, Right { hash, until: now + REMEMBERED }, now);
                Check::Known(user.known)
            }
            (Ok(_), _) => Check::Refused("user or password is wrong"),
            (Err(_), _) => Check::Down("the check of a password failed"),
        }
    }

    fn recall(&self, credentials: &Credentials, digest: &[u8; 32], now: Instant) -> Option<Arc<Known>> {
        let hash = {
            let right = self.remembered.right.lock().unwrap_or_else(PoisonError::into_inner);
            right.get(digest).filter(|right| now < right.until)?.hash.clone()
        };
        let user = |users: &Users| users.by_name.get(credentials.user()).cloned();
        let user = self.users.slot.with(|users| users.and_then(user))?;
        (Arc::ptr_eq(&user.hash, &hash) || user.hash == hash).then_some(user.known)
    }
}

impl Remembered {
    fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        let (workers, waiting) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Semaphore::new(WAITING)));
        Some(Self { key, right: Mutex::default(), workers, waiting })
    }

    fn digest(&self, credentials: &Credentials) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.key, &credentials.bytes).as_ref());
        digest
    }

    fn keep(&self, digest: [u8; 32], value: Right, now: Instant) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST_REMEMBERED {
            right.retain(|_, right| now < right.until);
        }
        if right.len() < MOST_REMEMBERED {
            right.insert(digest, value);
        }
    }
}

/// A user's name and password, as sent. The user's name holds no colon.
struct Credentials {
    bytes: Vec<u8>,
    colon: usize,
}

impl Credentials {
    fn user(&self) -> &str {
        self.bytes.get(..self.colon).and_then(|user| std::str::from_utf8(user).ok()).unwrap_or_default()
    }

    fn password(&self) -> &[u8] {
        self.bytes.get(self.colon + 1..).unwrap_or_default()
    }
}

fn credentials(headers: &HeaderMap) -> Result<Option<Credentials>, &'static str> {
    let encoded = match find(headers, &AUTHORIZATION, "Basic") {
        Found::None => return Ok(None),
        Found::Bad(why) => return Err(why),
        Found::One(encoded) => encoded,
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| "the credentials are not in Base64")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "the credentials are not in UTF-8")?;
    if text.contains(|c: char| c.is_control()) {
        return Err("the credentials hold a control character");
    }
    let colon = text.find(':').ok_or("the credentials have no colon between user and password")?;
    Ok(Some(Credentials { bytes, colon }))
}

fn parse(bytes: &[u8], passing: &Passing) -> Result<Users, Mistake> {
    let mut by_name = HashMap::new();
    let mut first = None;
    for (number, line) in lines(bytes)? {
        let form = "is not `user:$argon2id$…`; `xdp-lb hash-secret --kind password USER` makes such a line";
        let (name, phc) = line.split_once(':').ok_or_else(|| Mistake::at(number, form))?;
        let hash = PasswordHash::new(phc).map_err(|_| Mistake::at(number, form))?;
        if name.is_empty()
            || hash.algorithm.as_str() != "argon2id"
            || hash.salt.is_none()
            || hash.hash.is_none()
        {
            return Err(Mistake::at(number, form));
        }
        let params = Params::try_from(&hash).map_err(|_| Mistake::at(number, form))?;
        if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_PASSES {
            let what = format!(
                "the hash of \"{name}\" costs more than m={MOST_MEMORY}, t={MOST_PASSES}: hash it anew"
            );
            return Err(Mistake::at(number, what));
        }
        let hash = Arc::new(hash);
        first.get_or_insert_with(|| hash.clone());
        let known = Arc::new(Known::new(passing, name.into(), NO_CLAIMS.clone()));
        if by_name.insert(name.into(), User { hash, known }).is_some() {
            return Err(Mistake::at(
                number,
                format!("the user \"{name}\" is there a second time: remove one"),
            ));
        }
    }
    let nobody =
        nobody(first.as_deref()).ok_or_else(|| Mistake::whole("no random bytes for a hash of nobody"))?;
    Ok(Users { by_name, nobody: Arc::new(nobody) })
}

/// A hash that costs what `like` costs. What it holds is drawn by chance, and no password leads there.
fn nobody(like: Option<&PasswordHash>) -> Option<PasswordHash> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    let length = like.and_then(|like| like.hash.as_ref()).map_or(bytes.len(), |hash| hash.as_ref().len());
    let output = Output::new(bytes.get(..length.min(bytes.len()))?).ok()?;
    let phc =
        "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5";
    let mut hash = match like {
        Some(like) => like.clone(),
        None => PasswordHash::new(phc).ok()?,
    };
    hash.hash = Some(output);
    Some(hash)
}

/// The line of a file of users for this name and password, or what is wrong with them.
pub fn hash_password(name: &str, password: &[u8]) -> Result<String, &'static str> {
    let blank_end = name.trim() != name;
    if name.is_empty()
        || blank_end
        || name.starts_with('#')
        || name.contains(|c: char| c == ':' || c.is_control())
    {
        return Err(
            "the name of a user holds no colon, does not begin with # and has no blank at either end",
        );
    }
    let text = std::str::from_utf8(password).map_err(|_| "a password is in UTF-8")?;
    if text.is_empty() || text.contains(|c: char| c.is_control()) {
        return Err("a password is one line of text, without control characters");
    }
    let hash = Argon2::default().hash_password(password).map_err(|_| "the password cannot be hashed")?;
    Ok(format!("{name}:{hash}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A line whose hash is cheap.
    pub(in crate::gateway::verify) fn cheap_line(name: &str, password: &str) -> String {
        let argon2 = Argon2::from(Params::new(64, 1, 1, None).unwrap());
        format!("{name}:{}", argon2.hash_password(password.as_bytes()).unwrap())
    }

    fn passing() -> Passing {
        Passing { verifier: "users".into(), pass: Vec::new() }
    }

    #[test]
    fn a_line_that_was_made_is_read() {
        let line = hash_password("Zoë", "pass wörd".as_bytes()).unwrap();
        let users = parse(format!("# users\n{line}\n").as_bytes(), &passing()).unwrap();
        let hash = &users.by_name["Zoë"].hash;
        assert!(Argon2::default().verify_password("pass wörd".as_bytes(), &**hash).is_ok());
        assert!(Argon2::default().verify_password(b"pass", &*users.nobody).is_err());
        assert_eq!(users.nobody.params, hash.params, "the hash of nobody costs the same");
    }

    #[test]
    fn bad_lines_are_named() {
        let good = cheap_line("a", "b");
        for (file, line) in [
            ("a".to_owned(), 1),
            (format!("{good}\n{good}"), 2),
            ("\n\na:$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2hzb21laGFzaA".to_owned(), 3),
            ("a:$2y$05$abcdefghijklmnopqrstuv".to_owned(), 1),
            ("a:plain".to_owned(), 1),
            (good.replace("m=64,t=1", "m=4194304,t=1"), 1),
        ] {
            let mistake = parse(file.as_bytes(), &passing()).err().unwrap();
            assert_eq!(mistake.line, Some(line), "{file}");
            assert!(!mistake.what.contains("plain") && !mistake.what.contains("c29t"), "{}", mistake.what);
        }
    }

    #[test]
    fn credentials_are_parsed() {
        for (value, parsed) in [
            ("Basic dXNlcjpwYXNz", Ok(Some(("user", "pass")))),
            ("basic dXNlcjpwYTpzcw==", Ok(Some(("user", "pa:ss")))),
            ("Basic dXNlcjo=", Ok(Some(("user", "")))),
            ("Bearer dXNlcjo=", Ok(None)),
            ("Basic dXNlcg==", Err(())),
            ("Basic !!!", Err(())),
            ("Basic dQBzZXI6", Err(())),
            ("Basic /zph", Err(())),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            let seen = credentials(&headers).map_err(|_| ());
            let seen = seen.as_ref().map(|seen| {
                seen.as_ref().map(|seen| (seen.user(), std::str::from_utf8(seen.password()).unwrap()))
            });
            assert_eq!(seen.map_err(|error| *error), parsed, "{value}");
        }
    }
}
