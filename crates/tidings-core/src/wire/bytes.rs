//! Bytes out and bytes in: big-endian words, and varints in their one shortest form.

use super::WireError;

/// Appends numbers and bytes to a buffer.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A writer that appends to `buffer`.
    #[must_use]
    pub fn over(buffer: Vec<u8>) -> Self {
        Self(buffer)
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Eight bytes, the highest first.
    pub fn word(&mut self, word: u64) {
        self.0.extend_from_slice(&word.to_be_bytes());
    }

    /// Four bytes, the highest first.
    pub fn half(&mut self, half: u32) {
        self.0.extend_from_slice(&half.to_be_bytes());
    }

    /// A number in seven bits a byte, the lowest first.
    pub fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    /// A length and that many bytes.
    pub fn counted(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// The bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A tag, a length, and what `content` writes.
    pub(super) fn section(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.0.extend_from_slice(&[tag, 0]);
        let start = self.0.len();
        content(self);
        // The length is known last, and comes first. Mostly it takes the one byte that was left for it.
        let end = self.0.len();
        let len = (end - start) as u64;
        let has_more = len >= 0x80;
        self.0[start - 1] = (len & 0x7f) as u8 | u8::from(has_more) << 7;
        if has_more {
            self.varint(len >> 7);
            let digits = self.0.len() - end;
            self.0[start..].rotate_right(digits);
        }
    }
}

/// Takes numbers and bytes off the front of a slice. Nothing it is given can make it panic, or take what isn't there.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.array_ref().copied()
    }

    pub(super) fn array_ref<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// One byte.
    ///
    /// # Errors
    /// There is none.
    pub fn byte(&mut self) -> Result<u8, WireError> {
        self.array().map(|[byte]| byte)
    }

    /// Eight bytes, the highest first.
    ///
    /// # Errors
    /// There are fewer.
    pub fn word(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Four bytes, the highest first.
    ///
    /// # Errors
    /// There are fewer.
    pub fn half(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Two bytes, the highest first.
    pub(super) fn quarter(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number in seven bits a byte.
    ///
    /// # Errors
    /// It does not end, is above 64 bits, or has a shorter form.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        // Most numbers take one byte.
        if let Some((&byte, rest)) = self.0.split_first().filter(|(byte, _)| **byte < 0x80) {
            self.0 = rest;
            return Ok(byte.into());
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if place == 9 && part > 1 {
                return Err(WireError::Malformed("a number above 64 bits"));
            }
            number |= part << (7 * place);
            if byte & 0x80 == 0 {
                let shortest = part != 0 || place == 0;
                return if shortest {
                    Ok(number)
                } else {
                    Err(WireError::Malformed("a number with a shorter form"))
                };
            }
        }
        Err(WireError::Malformed("a number above 64 bits"))
    }

    /// A count of things that take at least `least` bytes each: a count that the bytes left can't pay for is refused.
    ///
    /// # Errors
    /// As for [`varint`](Self::varint), and for such a count.
    pub fn count(&mut self, least: usize) -> Result<usize, WireError> {
        let count = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        if count > self.len() / least { Err(WireError::Truncated) } else { Ok(count) }
    }

    /// A length and that many bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn counted(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.count(1)?;
        self.raw(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_form() {
        for number in [0, 1, 127, 128, 300, 1 << 56, u64::MAX] {
            let mut out = Writer::default();
            out.varint(number);
            let bytes = out.into_bytes();
            assert_eq!(bytes.len(), super::super::size::varint(number));
            assert_eq!(Reader::new(&bytes).varint(), Ok(number));
            assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).varint(), Err(WireError::Truncated));
        }
        assert!(Reader::new(&[0x80, 0x00]).varint().is_err());
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        assert!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).varint().is_err());
    }

    #[test]
    fn a_count_is_paid_for() {
        assert_eq!(Reader::new(&[2, 0, 0]).count(1), Ok(2));
        assert_eq!(Reader::new(&[2, 0, 0]).count(2), Err(WireError::Truncated));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).count(1), Err(WireError::Truncated));
    }
}
