//! What is found after whatever may happen to a disk.

use std::path::Path;

use tidings_core::{Entry, Generation, Key, Value, Version};

use super::fake::{Fake, Image};
use super::format::tests::{name, saved};
use super::*;

fn open(fake: &Fake) -> (Disk, Found) {
    Disk::over(Box::new(fake.clone()), Path::new(""), &name(), None).expect("it opens, whatever is there")
}

/// A state of `generation` that came as far as `version`, with a value of so many bytes.
fn state(generation: u64, version: u64, len: usize) -> Saved {
    let value = Value::from("x".repeat(len).into_bytes());
    let entries = vec![(Key::new("key").unwrap(), Entry::new(Some(value), Version(version)))];
    Saved { generation: Generation(generation), max: Version(version), gc: Version(0), entries, ..saved() }
}

/// Three lives, in which the state grows and shrinks.
fn lives(len: usize) -> Vec<Saved> {
    let writes = [(5, 1, 9), (5, 2, len), (5, 3, 2), (6, 3, 2), (6, 4, len), (9, 5, 30), (9, 6, 31)];
    writes.map(|(generation, version, len)| state(generation, version, len)).to_vec()
}

/// A directory of the release before there were slots.
fn former() -> Image {
    let bytes = format::sealed(&format::write_state(&name(), &saved()));
    Image::from([(FORMER.to_owned(), bytes)])
}

#[test]
fn what_was_saved_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let peers = vec!["10.0.0.7:8434".parse().unwrap(), "[::1]:9".parse().unwrap()];
    {
        let (disk, found) = Disk::open(dir.path(), &name()).unwrap();
        assert!(found.saved.is_none() && found.peers.is_empty());
        for saved in lives(20_000) {
            disk.save(&saved).unwrap();
        }
        disk.save_peers(&peers).unwrap();
        assert!(matches!(Disk::open(dir.path(), &name()), Err(Error::DataDirInUse { .. })));
    }
    let (_disk, found) = Disk::open(dir.path(), &name()).unwrap();
    assert_eq!((found.saved, found.peers), (lives(0).pop(), peers));
    assert!(found.set_aside.is_empty() && !found.is_half);
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
fn the_file_of_the_release_before_is_read_and_replaced() {
    let fake = Fake::holding(&former());
    let (disk, found) = open(&fake);
    assert_eq!(found.saved, Some(saved()));
    assert!(!found.is_half);
    disk.save(&state(2_000_000_000_000, 10, 3)).unwrap();
    assert_eq!(fake.read(FORMER).unwrap(), None);
    assert_eq!(open(&fake).1.saved, Some(state(2_000_000_000_000, 10, 3)));
}

/// R69: the power goes at any moment, and sectors are torn, NULs are found where nothing was safe, names are as before: what is
/// found is the state of before or the new one, its generation is none that was passed, and the disk goes on from there.
#[test]
fn r69_after_a_power_cut_the_state_of_before_or_the_new_one_is_found() {
    let peers = |n: u16| -> Vec<SocketAddr> { (1..=n).map(|port| ([10, 0, 0, 7], port).into()).collect() };
    let (mut cuts, mut halves) = (0, 0);
    for (begin, len) in [(Image::new(), 300), (former(), 300), (Image::new(), 9_000)] {
        let fake = Fake::holding(&begin);
        let begins = fake.moment();
        let (mut disk, found) = open(&fake);
        // What may be found after so many deeds: the last that was acknowledged, and what came after it.
        let mut found_before = vec![(begins, found.saved)];
        let mut known = vec![(begins, found.peers)];
        for (turn, saved) in (1..).zip(lives(len)) {
            // The former release's generations are higher.
            let saved = Saved { generation: Generation(saved.generation.0 + 3_000_000_000_000), ..saved };
            if found_before.last().unwrap().1.as_ref().is_some_and(|last| last.generation < saved.generation)
            {
                disk = open(&fake).0;
            }
            disk.save(&saved).unwrap();
            found_before.push((fake.moment(), Some(saved)));
            disk.save_peers(&peers(10 - turn)).unwrap();
            known.push((fake.moment(), peers(10 - turn)));
        }
        for moment in begins..=fake.moment() {
            let acknowledged = found_before.iter().rposition(|(at, _)| *at <= moment).unwrap();
            let may_be: Vec<_> =
                found_before[acknowledged..].iter().take(2).map(|(_, saved)| saved).collect();
            let at = known.iter().rposition(|(at, _)| *at <= moment).unwrap();
            for image in fake.after_power_cut(moment) {
                let left = Fake::holding(&image);
                let (disk, found) = open(&left);
                assert!(
                    may_be.contains(&&found.saved),
                    "{moment}: {:?} in the place of {may_be:?}",
                    found.saved
                );
                assert!(known[at..].iter().take(2).any(|(_, peers)| *peers == found.peers), "{moment}");
                cuts += 1;
                halves += u32::from(found.is_half);
                let next = state(4_000_000_000_000, 7, 40);
                disk.save(&next).unwrap();
                assert_eq!(open(&left).1.saved, Some(next), "it goes on from there");
            }
        }
    }
    println!("{cuts} power cuts; one slot was not whole in {halves}");
    assert!(cuts > 10_000 && halves > 5_000);
}

/// R69: a bit of either slot flips. The other slot is there, of the same generation at least; if none is, both are set aside.
#[test]
fn r69_a_damaged_slot_costs_no_generation() {
    let fake = Fake::default();
    let disk = open(&fake).0;
    let lives = lives(40);
    for (turn, saved) in lives.iter().enumerate() {
        disk.save(saved).unwrap();
        let image = fake.after_power_cut(fake.moment()).pop().unwrap();
        for slot in SLOTS {
            let used = format::open_slot(&image[slot]).map_or(0, |(_, body)| body.len() + 24);
            for bit in 0..8 * used {
                let mut image = image.clone();
                image.get_mut(slot).unwrap()[bit / 8] ^= 1 << (bit % 8);
                let (_, found) = open(&Fake::holding(&image));
                let found_saved = found.saved.expect("the other one is whole");
                assert!(found.is_half && found.set_aside.is_empty());
                assert_eq!(found_saved.generation, saved.generation, "{slot}, bit {bit}");
                assert!(lives[turn.saturating_sub(1)..=turn].contains(&found_saved));
            }
        }
        let damaged: Image = image.into_iter().map(|(file, bytes)| (file, bytes[..10].to_vec())).collect();
        let left = Fake::holding(&damaged);
        let (disk, found) = open(&left);
        assert_eq!((found.saved, found.set_aside.len(), found.is_half), (None, 2, false));
        assert_eq!(left.read(found.set_aside[0].to_str().unwrap()).unwrap(), Some(damaged[SLOTS[0]].clone()));
        disk.save(saved).unwrap();
        assert_eq!(open(&left).1.saved.as_ref(), Some(saved));
    }
}

/// R69: a slot can't be read. The other one counts; if neither can be, the node does not start, and nothing is set aside.
#[test]
fn r69_a_slot_that_cannot_be_read_is_done_without() {
    for slot in [0, 1] {
        let fake = Fake::default();
        let disk = open(&fake).0;
        lives(40)[..2].iter().for_each(|saved| disk.save(saved).unwrap());
        fake.break_file(SLOTS[slot]);
        let (_, found) = open(&fake);
        assert!(found.is_half && lives(40)[..2].contains(&found.saved.unwrap()));
        fake.break_file(SLOTS[1 - slot]);
        let refused = Disk::over(Box::new(fake), Path::new(""), &name(), None);
        assert!(matches!(refused, Err(Error::DataDir { .. })));
    }
}

/// R70: no room, at many a byte of each save: it fails, what was saved before is there, and what has room again is saved.
#[test]
fn r70_a_full_disk_keeps_what_was_saved_and_recovers() {
    let lives = lives(700);
    for more in (0..1_500).step_by(17) {
        let fake = Fake::default();
        let disk = open(&fake).0;
        fake.leave_room(Some(more));
        let mut last = None;
        for saved in &lives {
            let result = disk.save(saved);
            for image in fake.after_power_cut(fake.moment()) {
                let found = open(&Fake::holding(&image)).1.saved;
                // The first half of a save that failed in its second one may be there.
                assert!(found == last || found.as_ref() == Some(saved), "room for {more}");
                assert!(result.is_err() || found.as_ref() == Some(saved));
            }
            if result.is_err() {
                fake.leave_room(None);
                disk.save(saved).expect("there is room again");
                fake.leave_room(Some(more));
            }
            last = Some(saved.clone());
        }
        fake.leave_room(Some(0));
        for _ in 0..4 {
            disk.save(&lives[6]).expect("what had room once needs no more");
        }
    }
}

/// Starting on a full disk: what needs no room works.
#[test]
fn r70_a_full_disk_is_read_at_the_start() {
    let fake = Fake::default();
    open(&fake).0.save(&lives(40)[1]).unwrap();
    fake.leave_room(Some(0));
    let (disk, found) = open(&fake);
    assert_eq!(found.saved.as_ref(), Some(&lives(40)[1]));
    let next = Saved { generation: Generation(6), ..lives(40)[1].clone() };
    disk.save(&next).unwrap();
    assert_eq!(open(&fake).1.saved, Some(next));
}
