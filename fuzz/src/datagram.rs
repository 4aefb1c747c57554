//! Datagrams, from a stranger and from somebody who was asked.

use tidings_core::{Mode, Seal};

use crate::world::{CLUSTER, FRIEND, STRANGER, World};

/// `bytes` are a datagram, but for the checksum, which is made to fit. Whoever sends it, the node stands, keeps what is
/// its own, says nothing too large, and sends nobody whom it does not know more than three times as much.
pub fn datagram(bytes: &[u8]) -> bool {
    let (seal, mut bytes) = (Seal::new(CLUSTER), bytes.to_vec());
    seal.reseal(&mut bytes);
    let Ok(message) = seal.decode(&bytes) else { return false };
    let again = seal.encode(&message);
    assert!(again.len() <= bytes.len(), "grows when it is written again: {message:?}");
    assert_eq!(seal.decode(&again).as_ref(), Ok(&message));

    let mode = [Mode::PushPull, Mode::Push, Mode::Pull][crc32fast::hash(&bytes) as usize % 3];
    let mut world = World::new(mode);
    let said = world.tell(STRANGER, bytes.len(), message.clone());
    for (to, paid) in said.bytes.into_iter().filter(|(to, _)| *to != FRIEND) {
        assert!(paid <= 3 * bytes.len(), "{paid} bytes to {to} for {} of {message:?}", bytes.len());
    }
    world.live(2);
    // Now as an answer to what its sender was asked.
    let mut answer = message.clone();
    answer.exchange = world.begun_with_friend();
    world.tell(FRIEND, bytes.len(), answer);
    world.tell(FRIEND, bytes.len(), message);
    world.live(20);
    world.is_unharmed();
    true
}
