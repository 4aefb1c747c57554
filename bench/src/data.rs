//! What nodes and keys are called, and what is in them: the same for all.

use std::net::{Ipv4Addr, SocketAddr};

/// What node `number` is called.
pub(crate) fn node(number: usize) -> String {
    format!("node-{number:05}")
}

/// Where node `number` is.
pub(crate) fn address(number: usize) -> SocketAddr {
    let number = u32::try_from(number).expect("a benchmark has fewer nodes than that");
    (Ipv4Addr::from(FIRST + number), 8434).into()
}

/// Which node is at `address`.
pub(crate) fn number_at(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else { return None };
    usize::try_from(u32::from(*address.ip()).checked_sub(FIRST)?).ok()
}

/// The address of the first node: the same that the simulator gives it.
const FIRST: u32 = 0x0a00_0001;

/// What key `number` is called.
pub(crate) fn key(number: usize) -> String {
    format!("key-{number}")
}

/// Thirty-two hexadecimal digits that differ for each node, key and round.
pub(crate) fn value(node: usize, key: usize, round: u64) -> String {
    let seed = ((node as u64) << 32 | key as u64) ^ round.rotate_left(48);
    format!("{:016x}{:016x}", mix(seed), mix(seed ^ u64::MAX))
}

/// How often the owner `node` has written all its keys: some more often than others, as heartbeats and versions differ in
/// life. It matters to digests that are compressed.
pub(crate) fn rounds(node: usize) -> u64 {
    mix(node as u64) % 1_000
}

/// When `node` started, in microseconds of some hours.
pub(crate) fn started(node: usize) -> u64 {
    mix(!(node as u64)) % 10_000_000_000
}

/// Sixty-four bytes that begin with a word of their own.
pub(crate) fn update(number: u64) -> String {
    format!("{:016x}{:016x}{:016x}{:016x}", number, mix(number), mix(number + 1), mix(number + 2))
}

/// The number of an update.
pub(crate) fn number_of(update: &str) -> Option<u64> {
    u64::from_str_radix(update.get(..16)?, 16).ok()
}

/// The finalizer of SplitMix64.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length_and_differ() {
        assert_eq!(value(1, 2, 3).len(), 32);
        assert_ne!(value(1, 2, 3), value(1, 2, 4));
        assert_ne!(value(1, 2, 3), value(2, 1, 3));
        assert_eq!((update(7).len(), number_of(&update(7))), (64, Some(7)));
    }
}
