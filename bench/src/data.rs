//! What nodes and keys are called, and what is in them: the same for all.

/// What node `number` is called.
pub(crate) fn node(number: usize) -> String {
    format!("node-{number:05}")
}

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

/// Sixty-four bytes that begin with a word of their own.
pub(crate) fn update(number: u64) -> String {
    format!("{:016x}{:016x}{:016x}{:016x}", number, mix(number), mix(number + 1), mix(number + 2))
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
        assert_eq!(update(7).len(), 64);
    }
}
