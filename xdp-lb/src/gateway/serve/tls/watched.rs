use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::TlsError;

/// What was read from files, and how they were then.
#[derive(Clone)]
pub(super) struct FromFiles<T> {
    pub(super) value: T,
    read: Vec<Stamp>,
    /// How they were when they could not be used.
    refused: Option<Vec<Stamp>>,
}

/// What came of looking at files again.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) read: usize,
    pub(super) errors: Vec<TlsError>,
}

/// Tells one state of a file from another. None if there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl<T: Clone> FromFiles<T> {
    pub(super) fn read(
        files: &[PathBuf],
        load: impl FnOnce() -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        // Stamped before they are read: a change in between is seen as one later.
        let read = stamps(files);
        Ok(Self { value: load()?, read, refused: None })
    }

    /// Read again if the files have changed; as it was where they cannot be used.
    pub(super) fn again(
        &self,
        files: &[PathBuf],
        load: impl FnOnce() -> Result<T, TlsError>,
        changes: &mut Changes,
    ) -> Self {
        let stamps = stamps(files);
        if self.read == stamps || self.refused.as_ref() == Some(&stamps) {
            return self.clone();
        }
        match load() {
            Ok(value) => {
                changes.read += 1;
                Self { value, read: stamps, refused: None }
            }
            Err(error) => {
                changes.errors.push(error);
                Self { refused: Some(stamps), ..self.clone() }
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

impl Stamp {
    fn of(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let stamp = |metadata: fs::Metadata| {
            metadata.modified().ok().map(|modified| (modified, metadata.len(), metadata.ino()))
        };
        Self(fs::metadata(file).ok().and_then(stamp))
    }
}
