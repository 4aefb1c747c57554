//! A disk in memory that remembers each thing that was done to it, and shows what a power cut would have left at any moment.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::files::Files;

/// Files and what they hold.
pub(super) type Image = BTreeMap<String, Vec<u8>>;

/// A disk in memory. Copies of it are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    names: BTreeMap<String, usize>,
    contents: Vec<Vec<u8>>,
    done: Vec<Deed>,
    /// The files that can't be read.
    unreadable: Vec<String>,
    /// How many bytes all files may have together; `None` if there is room for all.
    room: Option<usize>,
}

/// What was done to it. Files are numbered as they are made.
#[derive(Debug, Clone)]
enum Deed {
    Make(String, usize),
    Rename(String, String),
    Remove(String),
    /// All names are safe.
    SyncNames,
    /// Written from the start of the file on.
    Write(usize, Vec<u8>),
    /// What was written is safe.
    Sync(usize),
}

impl Fake {
    /// A disk on which these files are safe.
    pub(super) fn holding(image: &Image) -> Self {
        let fake = Self::default();
        for (file, bytes) in image {
            fake.write(file, bytes).expect("there is room");
        }
        fake.sync().expect("names need no room");
        fake
    }

    /// How much was done so far.
    pub(super) fn moment(&self) -> usize {
        self.lock().done.len()
    }

    /// Lets no one read a file any more.
    pub(super) fn break_file(&self, file: &str) {
        self.lock().unreadable.push(file.to_owned());
    }

    /// Leaves room for so many bytes more; `None`: for all.
    pub(super) fn leave_room(&self, more: Option<usize>) {
        let mut inner = self.lock();
        inner.room = more.map(|more| inner.used() + more);
    }

    /// All that may be found after a power cut when just the first `moment` deeds were done. What was not safe then is there in
    /// part, in any of the ways in which disks leave it; names change in the order in which they were changed.
    pub(super) fn after_power_cut(&self, moment: usize) -> Vec<Image> {
        let inner = self.lock();
        let done = &inner.done[..moment];
        let mut safe = vec![Vec::new(); inner.contents.len()];
        let mut torn: Option<(usize, &Vec<u8>)> = None;
        for deed in done {
            match deed {
                Deed::Write(file, bytes) => torn = Some((*file, bytes)),
                Deed::Sync(file) => {
                    let (_, bytes) = torn.take().expect("what is synced was written");
                    overwrite(&mut safe[*file], bytes);
                }
                Deed::Make(..) | Deed::Rename(..) | Deed::Remove(_) | Deed::SyncNames => {}
            }
        }
        let contents = torn.map_or_else(
            || vec![safe.clone()],
            |(file, bytes)| {
                let with = |left| {
                    let mut contents = safe.clone();
                    contents[file] = left;
                    contents
                };
                tears(&safe[file], bytes).into_iter().map(with).collect()
            },
        );
        let sure = done.iter().rposition(|deed| matches!(deed, Deed::SyncNames)).unwrap_or(0);
        let mut images = Vec::new();
        for names in (sure..=moment).map(|last| names(&done[..last])) {
            let image = |contents: &Vec<Vec<u8>>| {
                names.iter().map(|(name, file)| (name.clone(), contents[*file].clone())).collect()
            };
            images.extend(contents.iter().map(image));
        }
        images
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test goes on after a panic")
    }
}

impl Inner {
    fn used(&self) -> usize {
        self.names.values().map(|file| self.contents[*file].len()).sum()
    }
}

impl Files for Fake {
    fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        let inner = self.lock();
        if inner.unreadable.iter().any(|unreadable| unreadable == file) {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(inner.names.get(file).map(|file| inner.contents[*file].clone()))
    }

    fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let number = *inner.names.entry(file.to_owned()).or_insert_with(|| {
            inner.contents.push(Vec::new());
            inner.done.push(Deed::Make(file.to_owned(), inner.contents.len() - 1));
            inner.contents.len() - 1
        });
        let (used, has) = (inner.used(), inner.contents[number].len());
        let fits = inner.room.map_or(bytes.len(), |room| bytes.len().min(room + has - used));
        overwrite(&mut inner.contents[number], &bytes[..fits]);
        inner.done.push(Deed::Write(number, bytes[..fits].to_vec()));
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inner.done.push(Deed::Sync(number));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.lock();
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        inner.done.push(Deed::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.names.remove(file).is_some() {
            inner.done.push(Deed::Remove(file.to_owned()));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.lock().done.push(Deed::SyncNames);
        Ok(())
    }
}

/// Which names there are after all of `done`.
fn names(done: &[Deed]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for deed in done {
        match deed {
            Deed::Make(name, file) => drop(names.insert(name.clone(), *file)),
            Deed::Rename(from, to) => {
                let file = names.remove(from).expect("what is renamed is there");
                names.insert(to.clone(), file);
            }
            Deed::Remove(name) => drop(names.remove(name)),
            Deed::SyncNames | Deed::Write(..) | Deed::Sync(_) => {}
        }
    }
    names
}

fn overwrite(contents: &mut Vec<u8>, bytes: &[u8]) {
    contents.resize(contents.len().max(bytes.len()), 0);
    contents[..bytes.len()].copy_from_slice(bytes);
}

/// What may be left of `old` when `new` is being written over it: cut at every byte, before what was there or before NULs; and in
/// sectors of either size, all but one of them, one of them alone, or only the last ones.
fn tears(old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
    let mut before = old.to_vec();
    before.resize(old.len().max(new.len()), 0);
    let mut after = old.to_vec();
    overwrite(&mut after, new);
    let mut tears = vec![old.to_vec()];
    for cut in 0..=new.len() {
        let mut short = old.to_vec();
        overwrite(&mut short, &new[..cut]);
        tears.push(short);
        tears.push([&new[..cut], &before[cut..]].concat());
        tears.push([&new[..cut], &vec![0; new.len() - cut], &before[new.len()..]].concat());
    }
    for sector in [512, 4_096] {
        for start in (0..new.len()).step_by(sector) {
            let end = (start + sector).min(new.len());
            tears.push([&after[..start], &before[start..end], &after[end..]].concat());
            tears.push([&before[..start], &after[start..end], &before[end..]].concat());
            tears.push([&before[..start], &after[start..]].concat());
        }
    }
    tears
}
