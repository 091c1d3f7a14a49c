//! Composing messages into a buffer that the caller has.

use domain::base::wire::Composer;
use domain::dep::octseq::builder::{OctetsBuilder, ShortBuf, Truncate};

/// Lets `domain`'s message builder write into a slice, without compression.
///
/// What does not fit is [`ShortBuf`], and the message stays as it was before.
#[derive(Debug)]
pub struct SliceComposer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> SliceComposer<'a> {
    /// An empty message; it may grow to the length of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }
}

impl AsRef<[u8]> for SliceComposer<'_> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl AsMut<[u8]> for SliceComposer<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }
}

impl OctetsBuilder for SliceComposer<'_> {
    type AppendError = ShortBuf;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), ShortBuf> {
        let end = self.len.checked_add(slice.len()).ok_or(ShortBuf)?;
        self.buffer.get_mut(self.len..end).ok_or(ShortBuf)?.copy_from_slice(slice);
        self.len = end;
        Ok(())
    }
}

impl Truncate for SliceComposer<'_> {
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Composer for SliceComposer<'_> {}

#[cfg(test)]
mod tests {
    use domain::base::{MessageBuilder, Name, Rtype};

    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error_and_leaves_the_message_as_it_was() {
        let name: &Name<[u8]> = Name::from_slice(b"\x07example\x00").unwrap();
        let mut buffer = [0; 12 + 13 + 12];
        let mut message = MessageBuilder::from_target(SliceComposer::new(&mut buffer)).unwrap().question();
        message.push((name, Rtype::A)).unwrap();
        assert!(message.push((name, Rtype::A)).is_err());
        assert_eq!((message.counts().qdcount(), message.as_slice().len()), (1, 25));
        assert!(MessageBuilder::from_target(SliceComposer::new(&mut [0; 11])).is_err());
    }
}
