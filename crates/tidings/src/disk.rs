//! The data directory: what survives a restart.
//!
//! The state has two **slots**, written in turn, in place. Each holds all of it, between a sequence number and a checksum, and
//! the newest whole one counts. So the newest state is never touched while the next one is written: wherever a kill, a power cut,
//! a full disk or a torn sector stops that, the slot is not whole and the state before is there; and no rename and no
//! directory has to become safe in an order that a file system may or may not keep. A slot never gets shorter, so that a full
//! disk still takes what it took before (where the file system writes in place). A damaged slot costs the writes since the other
//! one, and no generation, since each new generation goes into both before it is told.
//!
//! An embedded store would do as well and bring a log, pages and a format of its own, for one small value that is always
//! written as a whole.
//!
//! A slot that can't be read is not whole either, if the other one is; otherwise the node does not start.
//!
//! Where no slot is whole and something is there, it is set aside and said, and the node begins as on an empty disk: its
//! generation follows from the wall clock, and from what the others still claim of it.
//!
//! Where others are is only a help at the next start: that file is written beside its old self and renamed over it.

#[cfg(test)]
mod fake;
mod files;
mod format;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use tidings_core::{Generation, NodeName, Saved};

use crate::error::Error;
use files::{Directory, Files};

const SLOTS: [&str; 2] = ["state-0", "state-1"];
/// The one file that held the state before there were slots.
const FORMER: &str = "state";
const PEERS: &str = "peers";
const BESIDE: &str = "peers.new";
const LOCK: &str = "lock";

/// A node's data directory.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    files: Box<dyn Files>,
    name: NodeName,
    slots: Mutex<Slots>,
    /// Held until the node stops, against other processes.
    _lock: Option<File>,
}

/// Which slot is written next. Invariant: never the newest whole one.
#[derive(Debug, Default)]
struct Slots {
    next: usize,
    /// The sequence number of the newest whole one.
    sequence: u64,
    /// The generation that both hold, if they hold one.
    settled: Option<Generation>,
    /// Whether there is a file from before there were slots.
    has_former: bool,
}

/// What an earlier life left.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Its state, if it left one that is whole.
    pub(crate) saved: Option<Saved>,
    /// Where it knew others.
    pub(crate) peers: Vec<SocketAddr>,
    /// What was damaged and could not be done without, under the names by which it was set aside.
    pub(crate) set_aside: Vec<PathBuf>,
    /// Whether one of the two slots was not whole, so that the other one counts.
    pub(crate) is_half: bool,
}

/// What is in a slot.
enum Slot {
    Empty,
    Damaged,
    Whole(u64, NodeName, Saved),
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
        Self::over(Box::new(Directory(dir.to_owned())), dir, name, Some(lock))
    }

    /// Reads what is in `files`, which are those of `dir`.
    fn over(
        files: Box<dyn Files>,
        dir: &Path,
        name: &NodeName,
        lock: Option<File>,
    ) -> Result<(Self, Found), Error> {
        let failed = |source| Error::DataDir { path: dir.to_owned(), source };
        let slots = Mutex::default();
        let disk = Self { dir: dir.to_owned(), files, name: name.clone(), slots, _lock: lock };
        let mut found = Found::default();
        if let Some((owner, saved)) = disk.find_state(&mut found).map_err(failed)? {
            if owner != *name {
                return Err(Error::DataDirOfAnother { path: dir.to_owned(), owner: owner.to_string() });
            }
            found.saved = Some(saved);
        }
        found.peers = disk.find_peers(&mut found.set_aside).map_err(failed)?;
        disk.make_slots().map_err(failed)?;
        Ok((disk, found))
    }

    /// Puts `saved` in the place of all that was saved before. Once it returns, it is safe. If it fails, what was saved before
    /// is there, or `saved` is.
    pub(crate) fn save(&self, saved: &Saved) -> io::Result<()> {
        let mut slots = self.slots.lock().expect("saving does not panic");
        let body = format::write_state(&self.name, saved);
        if slots.settled != Some(saved.generation) {
            slots.settled = None;
            slots.write(&*self.files, &body)?;
        }
        slots.write(&*self.files, &body)?;
        slots.settled = Some(saved.generation);
        // Should that fail, it is older than the slots, and goes next time.
        slots.has_former = slots.has_former && self.files.remove(FORMER).is_err();
        Ok(())
    }

    /// Remembers where others are.
    pub(crate) fn save_peers(&self, peers: &[SocketAddr]) -> io::Result<()> {
        // What a crash left there may be longer.
        self.files.remove(BESIDE)?;
        self.files.write(BESIDE, &format::sealed(&format::write_peers(peers)))?;
        self.files.rename(BESIDE, PEERS)?;
        self.files.sync()
    }

    /// The newest state that is whole; sets aside what is damaged if there is none.
    fn find_state(&self, found: &mut Found) -> io::Result<Option<(NodeName, Saved)>> {
        let former = self.files.read(FORMER)?;
        let mut slots = Slots { has_former: former.is_some(), ..Slots::default() };
        let read = SLOTS.map(|slot| self.read_slot(slot));
        found.is_half =
            !matches!(&read, [Ok(Slot::Empty), Ok(Slot::Empty)] | [Ok(Slot::Whole(..)), Ok(Slot::Whole(..))]);
        if let [Ok(Slot::Whole(_, _, one)), Ok(Slot::Whole(_, _, other))] = &read {
            slots.settled = Some(one.generation).filter(|generation| *generation == other.generation);
        }
        let mut newest = former.as_deref().and_then(format::opened).and_then(format::read_state);
        let (mut damaged, mut unreadable) = (Vec::new(), None);
        for (place, slot) in read.into_iter().enumerate() {
            match slot {
                Ok(Slot::Whole(sequence, owner, saved)) => {
                    if sequence >= slots.sequence {
                        (slots.next, slots.sequence) = (1 - place, sequence);
                        newest = Some((owner, saved));
                    }
                }
                Ok(Slot::Empty) => {}
                Ok(Slot::Damaged) => damaged.push(SLOTS[place]),
                Err(error) => unreadable = Some(error),
            }
        }
        if newest.is_none() {
            // What can't be read now may be whole.
            unreadable.map_or(Ok(()), Err)?;
            damaged.extend(former.is_some().then_some(FORMER));
            for file in damaged {
                self.set_aside(file, &mut found.set_aside)?;
            }
            (slots.has_former, found.is_half) = (false, false);
        }
        *self.slots.lock().expect("nobody else has it yet") = slots;
        Ok(newest)
    }

    fn read_slot(&self, file: &str) -> io::Result<Slot> {
        let bytes = self.files.read(file)?.unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Slot::Empty);
        }
        let whole = format::open_slot(&bytes).and_then(|(sequence, body)| {
            let (owner, saved) = format::read_state(body)?;
            Some(Slot::Whole(sequence, owner, saved))
        });
        Ok(whole.unwrap_or(Slot::Damaged))
    }

    /// Makes the slots that aren't there, so that no save has to.
    fn make_slots(&self) -> io::Result<()> {
        for slot in SLOTS {
            self.files.write(slot, b"")?;
        }
        self.files.sync()
    }

    fn find_peers(&self, set_aside: &mut Vec<PathBuf>) -> io::Result<Vec<SocketAddr>> {
        let Some(bytes) = self.files.read(PEERS)? else { return Ok(Vec::new()) };
        let peers = format::opened(&bytes).and_then(format::read_peers);
        if peers.is_none() {
            self.set_aside(PEERS, set_aside)?;
        }
        Ok(peers.unwrap_or_default())
    }

    fn set_aside(&self, file: &str, set_aside: &mut Vec<PathBuf>) -> io::Result<()> {
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let aside = format!("{file}.damaged-{stamp}");
        self.files.rename(file, &aside)?;
        set_aside.push(self.dir.join(aside));
        Ok(())
    }
}

impl Found {
    /// Tells the log what is wrong.
    pub(crate) fn logged(self) -> Self {
        for path in &self.set_aside {
            tracing::error!(path = %path.display(), "a damaged file was set aside, and is not believed");
        }
        if self.is_half {
            tracing::warn!(
                "one of the two copies of the state was not whole, and the other one is used: after a crash nothing is \
                 missing; otherwise look at the disk, since the last writes may be"
            );
        }
        self
    }
}

impl Slots {
    /// Writes `body` into the next slot. If that fails, the same one is written next time.
    fn write(&mut self, files: &dyn Files, body: &[u8]) -> io::Result<()> {
        let sequence = self.sequence + 1;
        files.write(SLOTS[self.next], &format::slot(sequence, body))?;
        (self.next, self.sequence) = (1 - self.next, sequence);
        Ok(())
    }
}
