//! A file whose contents are used in a form of their own, and read again when it changes.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::Mistake;
use super::slot::Slot;
use super::{BuildError, FileError};
use crate::regular;

/// Bytes of a file at most.
const MOST_BYTES: u64 = 16 << 20;

pub(super) struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    pub(super) slot: Slot<T>,
    last: Mutex<Last>,
}

/// When it was last looked at.
#[derive(Default)]
struct Last {
    stamp: Option<Stamp>,
    /// What was wrong with it.
    complaint: Option<Mistake>,
}

/// Makes something of a file's bytes.
type Parse<T> = Box<dyn Fn(&[u8]) -> Result<T, Mistake> + Send + Sync>;
/// What was read; nothing where it is what it was.
type Read<T> = Option<(Stamp, T)>;
/// What is wrong, and with which state of the file, if there is one.
type Fault = (Option<Stamp>, Mistake);

/// What tells one state of a file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl<T> Watched<T> {
    pub(super) fn open(
        verifier: &str,
        path: &Path,
        parse: impl Fn(&[u8]) -> Result<T, Mistake> + Send + Sync + 'static,
    ) -> Result<Self, BuildError> {
        let (path, parse) = (path.to_owned(), Box::new(parse));
        let watched = Self { path, parse, slot: Slot::empty(), last: Mutex::default() };
        watched.refresh().map_err(|error| BuildError::File { verifier: verifier.to_owned(), error })?;
        Ok(watched)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is in use is not what the file held when it was last looked at.
    pub(super) fn is_at_fault(&self) -> bool {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).complaint.is_some()
    }

    /// Reads the file if it changed since it was last looked at, and says whether its contents are new. Contents that
    /// cannot be used change nothing, and are complained of once.
    pub(super) fn refresh(&self) -> Result<bool, FileError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let unreadable = |cause: std::io::Error| Mistake::whole(format!("cannot be read: {cause}"));
        let read = || -> Result<Read<T>, Fault> {
            let mut file = regular::open(&self.path).map_err(|cause| (None, unreadable(cause)))?;
            // Of the open file, before it is read: what is written meanwhile gives another stamp.
            let stamp = file.metadata().map(stamp).map_err(|cause| (None, unreadable(cause)))?;
            if last.stamp == Some(stamp) {
                return Ok(None);
            }
            let fail = |mistake| (Some(stamp), mistake);
            let mut bytes = Vec::new();
            (&mut file)
                .take(MOST_BYTES + 1)
                .read_to_end(&mut bytes)
                .map_err(|cause| fail(unreadable(cause)))?;
            if bytes.len() as u64 > MOST_BYTES {
                return Err(fail(Mistake::whole("is longer than 16 MiB: is it the right file?")));
            }
            Ok(Some((stamp, (self.parse)(&bytes).map_err(fail)?)))
        };
        match read() {
            Ok(None) => Ok(false),
            Ok(Some((stamp, value))) => {
                *last = Last { stamp: Some(stamp), complaint: None };
                self.slot.set(value);
                Ok(true)
            }
            Err((stamp, mistake)) => {
                last.stamp = stamp;
                if last.complaint.as_ref() == Some(&mistake) {
                    return Ok(false);
                }
                let error =
                    FileError { path: self.path.clone(), line: mistake.line, what: mistake.what.clone() };
                last.complaint = Some(mistake);
                Err(error)
            }
        }
    }
}

fn stamp(metadata: Metadata) -> Stamp {
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Stamp { inode: metadata.ino(), length: metadata.len(), modified }
}

/// What a file without an entry has to say: one that was found half written would shut everybody out.
const NOBODY: &str = "# nobody";

/// The lines of a text that are not empty and no comment, with their numbers; at least one, unless it says that there is
/// none.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<(usize, &str)>, Mistake> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count() + 1;
        Mistake::at(line, "is not UTF-8")
    })?;
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let entries: Vec<_> = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    if entries.is_empty() && !text.lines().any(|line| line.trim() == NOBODY) {
        let what = format!(
            "is empty, as one is that is being written: replace it whole, by a rename; if nobody is to be let in, write \
             the line `{NOBODY}`"
        );
        return Err(Mistake::whole(what));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_shuts_nobody_out_unless_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "# keys\na\nb\n").unwrap();
        let watched = Watched::open("keys", &path, |bytes| lines(bytes).map(|lines| lines.len())).unwrap();
        let count = || watched.slot.get().map(|version| version.value);
        assert_eq!(count(), Some(2));
        for text in ["", "# keys", "\n\n\n"] {
            std::fs::write(&path, text).unwrap();
            // Said once of all of them.
            if let Err(error) = watched.refresh() {
                assert!(error.to_string().contains("is empty") && text.is_empty(), "{text:?}: {error}");
            }
            assert_eq!((count(), watched.is_at_fault()), (Some(2), true), "{text:?}");
        }
        std::fs::write(&path, "# keys\n  # nobody").unwrap();
        assert_eq!((watched.refresh(), count()), (Ok(true), Some(0)));
        std::fs::write(&path, "a").unwrap();
        assert_eq!((watched.refresh(), count()), (Ok(true), Some(1)));
        let error = Watched::open("keys", Path::new("/dev/null"), |_| Ok(())).err().unwrap().to_string();
        assert!(error.contains("no regular file"), "{error}");
    }
}
