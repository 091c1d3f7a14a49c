//! Text written into a buffer that is given.

use core::fmt;

use super::ClientError;

/// Writes from the front of a buffer on, and says when it is full.
#[derive(Debug)]
pub(super) struct Writer<'b> {
    out: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    pub(super) fn new(out: &'b mut [u8]) -> Self {
        Self { out, length: 0 }
    }

    /// Bytes written.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What has been written.
    pub(super) fn written(&self) -> &[u8] {
        self.out.get(..self.length).unwrap_or_default()
    }

    /// Takes back what was written beyond this length.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// # Errors
    /// [`ClientError::BufferTooSmall`].
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let end = self.length.checked_add(bytes.len()).ok_or(ClientError::BufferTooSmall)?;
        self.out.get_mut(self.length..end).ok_or(ClientError::BufferTooSmall)?.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// # Errors
    /// [`ClientError::BufferTooSmall`].
    pub(super) fn print(&mut self, text: fmt::Arguments<'_>) -> Result<(), ClientError> {
        fmt::Write::write_fmt(self, text).map_err(|_| ClientError::BufferTooSmall)
    }
}

impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
