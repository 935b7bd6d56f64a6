//! Files that are named in a configuration, and may be something else.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opening without waiting: for a pipe's other end, or for a device.
pub(crate) const AT_ONCE: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// A regular file, to be read. What is none may never end, or be waited for: that is refused, by what was opened and not
/// by what its name stood for before.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(NONE)) }
}

/// What a regular file holds.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is said of another file.
const NONE: &str = "it is no regular file";

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// What comes of this within ten seconds: for what may wait for ever.
    pub(crate) fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        result.recv_timeout(Duration::from_secs(10)).expect("it waits")
    }

    pub(crate) fn pipe(path: &Path) {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, fifo) = (folder.path().join("file"), folder.path().join("pipe"));
        std::fs::write(&file, "text").unwrap();
        pipe(&fifo);
        assert_eq!(soon(move || read(&file)).unwrap(), b"text");
        for path in [fifo, folder.path().to_owned(), "/dev/null".into(), "/dev/zero".into()] {
            let error = soon({
                let path = path.clone();
                move || read(&path)
            });
            assert_eq!(error.unwrap_err().to_string(), NONE, "{}", path.display());
        }
        assert_eq!(read(Path::new("/none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
