//! What the data directory asks of a disk, and the disk of this machine.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The files of a directory, by their names. Tests put disks here that fill up, and lose their power at any moment.
pub(crate) trait Files: fmt::Debug + Send + Sync {
    /// All of a file; `None` if there is none.
    fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>>;

    /// Writes `bytes` in place, from the start of a file on, and returns once they are safe. The file is made if it isn't
    /// there, and never gets shorter: the room that it once had is not given back.
    fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name, in the place of what has that.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, if it is there.
    fn remove(&self, file: &str) -> io::Result<()>;

    /// Returns once it is safe which names there are.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of this machine.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Files for Directory {
    fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(self.0.join(file)))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).clone();
        let mut file = options.open(self.0.join(file))?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        found(fs::remove_file(self.0.join(file))).map(|_| ())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

/// A file that isn't there is no error.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
