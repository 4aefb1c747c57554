//! The data directory: what survives a restart, in files that are either whole or set aside.
//!
//! A file is written beside its old self, synced, and renamed over it: whenever the power goes, the old one or the new
//! one is there. It ends in a checksum over all before it. What fails that check is renamed, said, and not believed.

mod format;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tidings_core::{NodeName, Saved};

use crate::error::Error;

const STATE: &str = "state";
const PEERS: &str = "peers";
const LOCK: &str = "lock";

/// A node's data directory, locked against other processes.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    name: NodeName,
    /// Held until the node stops.
    _lock: File,
}

/// What an earlier life left.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Its state, if it left one that is whole.
    pub(crate) saved: Option<Saved>,
    /// Where it knew others.
    pub(crate) peers: Vec<SocketAddr>,
    /// The files that were damaged, under the names by which they were set aside.
    pub(crate) set_aside: Vec<PathBuf>,
}

impl Disk {
    /// Opens `dir` for the node `name`, and makes it if it isn't there.
    pub(crate) fn open(dir: &Path, name: &NodeName) -> Result<(Self, Found), Error> {
        let failed = |source| Error::DataDir { path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = File::create(dir.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(Error::DataDirInUse { path: dir.to_owned() }),
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        let disk = Self { dir: dir.to_owned(), name: name.clone(), _lock: lock };
        let mut found = Found::default();
        let state = disk.read(STATE, format::read_state, &mut found.set_aside).map_err(failed)?;
        if let Some((owner, saved)) = state {
            if owner != *name {
                return Err(Error::DataDirOfAnother { path: dir.to_owned(), owner: owner.to_string() });
            }
            found.saved = Some(saved);
        }
        found.peers =
            disk.read(PEERS, format::read_peers, &mut found.set_aside).map_err(failed)?.unwrap_or_default();
        Ok((disk, found))
    }

    /// Puts `saved` in the place of all that was saved before. Once it returns, it is safe.
    pub(crate) fn save(&self, saved: &Saved) -> io::Result<()> {
        self.write(STATE, &format::write_state(&self.name, saved))
    }

    /// Remembers where others are.
    pub(crate) fn save_peers(&self, peers: &[SocketAddr]) -> io::Result<()> {
        self.write(PEERS, &format::write_peers(peers))
    }

    fn write(&self, file: &str, body: &[u8]) -> io::Result<()> {
        let path = self.dir.join(file);
        let beside = path.with_extension("new");
        let mut new = File::create(&beside)?;
        new.write_all(&format::sealed(body))?;
        new.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Reads a file if it is there; sets it aside if it is damaged.
    fn read<T>(
        &self,
        file: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
        set_aside: &mut Vec<PathBuf>,
    ) -> io::Result<Option<T>> {
        let path = self.dir.join(file);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let parsed = format::opened(&bytes).and_then(parse);
        if parsed.is_none() {
            let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let aside = path.with_extension(format!("damaged-{stamp}"));
            fs::rename(&path, &aside)?;
            set_aside.push(aside);
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::format::tests::{name, saved};
    use super::*;

    #[test]
    fn what_was_saved_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let peers = vec!["10.0.0.7:8434".parse().unwrap(), "[::1]:9".parse().unwrap()];
        {
            let (disk, found) = Disk::open(dir.path(), &name()).unwrap();
            assert!(found.saved.is_none() && found.peers.is_empty());
            disk.save(&saved()).unwrap();
            disk.save_peers(&peers).unwrap();
            assert!(matches!(Disk::open(dir.path(), &name()), Err(Error::DataDirInUse { .. })));
        }
        let (_disk, found) = Disk::open(dir.path(), &name()).unwrap();
        assert_eq!((found.saved, found.peers, found.set_aside), (Some(saved()), peers, vec![]));
    }

    #[test]
    fn another_nodes_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Disk::open(dir.path(), &name()).unwrap().0.save(&saved()).unwrap();
        let other = NodeName::new("api-2").unwrap();
        assert!(
            matches!(Disk::open(dir.path(), &other), Err(Error::DataDirOfAnother { owner, .. }) if owner == "api-1")
        );
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let whole = format::sealed(&format::write_state(&name(), &saved()));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STATE), &whole[..20]).unwrap();
        let (_disk, found) = Disk::open(dir.path(), &name()).unwrap();
        assert!(found.saved.is_none());
        assert_eq!(fs::read(&found.set_aside[0]).unwrap(), &whole[..20]);
        assert!(!dir.path().join(STATE).exists());
    }
}
