//! Messages on a stream: each with its length in front.

use super::WireError;

/// `message` as it goes on a stream: four bytes of length, the highest first, and its own.
///
/// # Panics
/// If it has 4 GiB or more.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).expect("a message is smaller than that");
    let mut bytes = Vec::with_capacity(4 + message.len());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// Cuts the bytes of a stream into messages. It holds what came in of the next one and no more: a length alone makes it
/// allocate nothing.
#[derive(Debug)]
pub struct Frames {
    longest: usize,
    bytes: Vec<u8>,
}

impl Frames {
    /// For a stream on which no message is longer than `longest` bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self { longest, bytes: Vec::new() }
    }

    /// These bytes came in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, as bytes, once all of it came in.
    ///
    /// # Errors
    /// Its length is beyond the limit: nothing sensible follows.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let Some((len, rest)) = self.bytes.split_first_chunk() else { return Ok(None) };
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| WireError::TooLong)?;
        if len > self.longest {
            return Err(WireError::TooLong);
        }
        let Some(message) = rest.get(..len).map(<[u8]>::to_vec) else { return Ok(None) };
        self.bytes.drain(..4 + len);
        Ok(Some(message))
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_the_bytes_are_cut() {
        let stream = [frame(b"one"), frame(b""), frame(b"three")].concat();
        for cut in 1..stream.len() {
            let (mut frames, mut messages) = (Frames::new(5), Vec::new());
            for part in stream.chunks(cut) {
                frames.push(part);
                while let Some(message) = frames.next_message().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, [&b"one"[..], b"", b"three"]);
            assert!(!frames.is_mid_message());
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_kept_for_it() {
        let mut frames = Frames::new(5);
        frames.push(&[0, 0, 0, 6]);
        assert_eq!(frames.next_message(), Err(WireError::TooLong));
    }
}
