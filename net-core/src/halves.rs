//! The halves of a TCP connection, for every stack of this crate: a stack says by polling what can be done now, as
//! [`Half`], and the macros make the traits of [`nal`](crate::nal) of it, for the socket and for its borrowed halves.

use core::task::{Poll, Waker};

use crate::Error;

/// A way to a connection that does not own it. Reading keeps one waker, writing another.
pub(crate) trait Half: Copy {
    /// Takes received bytes; 0 at the end of the stream.
    fn poll_read(self, buffer: &mut [u8], waker: &Waker) -> Poll<Result<usize, Error>>;
    /// Ready when [`poll_read`](Self::poll_read) would be.
    fn poll_readable(self, waker: &Waker) -> Poll<Result<(), Error>>;
    /// Queues bytes to be sent.
    fn poll_write(self, data: &[u8], waker: &Waker) -> Poll<Result<usize, Error>>;
    /// Ready when [`poll_write`](Self::poll_write) would be.
    fn poll_writable(self, waker: &Waker) -> Poll<Result<(), Error>>;
    /// Ready when no more than `limit` bytes are unacknowledged; with 0, also the FIN of a closed sending half.
    fn poll_acknowledged(self, limit: usize, waker: &Waker) -> Poll<Result<(), Error>>;
    /// Bytes written and not acknowledged.
    fn unacknowledged(self) -> usize;
    /// Closes the sending half.
    fn finish(self) -> Result<(), Error>;
    /// Ends the connection with a RST.
    fn abort(self);
}

/// The traits of reading.
macro_rules! reads {
    ($type:ty, $self:ident => $half:expr) => {
        impl $crate::nal::Read for $type {
            async fn read(&mut $self, buffer: &mut [u8]) -> Result<usize, $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_read(buffer, cx.waker())).await
            }
        }
        impl $crate::nal::ReadReady for $type {
            fn read_ready(&mut $self) -> Result<bool, $crate::Error> {
                Ok($half.poll_readable(core::task::Waker::noop()).is_ready())
            }
        }
        impl $crate::nal::TcpRead for $type {
            async fn readable(&mut $self) -> Result<(), $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_readable(cx.waker())).await
            }
        }
    };
}

/// The traits of writing.
macro_rules! writes {
    ($type:ty, $self:ident => $half:expr) => {
        impl $crate::nal::Write for $type {
            async fn write(&mut $self, data: &[u8]) -> Result<usize, $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_write(data, cx.waker())).await
            }
            async fn flush(&mut $self) -> Result<(), $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_acknowledged(0, cx.waker())).await
            }
        }
        impl $crate::nal::WriteReady for $type {
            fn write_ready(&mut $self) -> Result<bool, $crate::Error> {
                Ok($half.poll_writable(core::task::Waker::noop()).is_ready())
            }
        }
        impl $crate::nal::TcpWrite for $type {
            async fn writable(&mut $self) -> Result<(), $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_writable(cx.waker())).await
            }
            fn unacknowledged(&$self) -> usize {
                $half.unacknowledged()
            }
            async fn acknowledged(&mut $self, limit: usize) -> Result<(), $crate::Error> {
                core::future::poll_fn(|cx| $half.poll_acknowledged(limit, cx.waker())).await
            }
            async fn finish(&mut $self) -> Result<(), $crate::Error> {
                $half.finish()
            }
        }
    };
}

/// The polled view of the whole.
macro_rules! streams {
    ($type:ty, $self:ident => $half:expr) => {
        impl $crate::nal::ByteStream for $type {
            fn poll_read(
                &mut $self,
                cx: &mut core::task::Context<'_>,
                buffer: &mut [u8],
            ) -> core::task::Poll<Result<usize, $crate::Error>> {
                $half.poll_read(buffer, cx.waker())
            }
            fn poll_readable(
                &mut $self,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), $crate::Error>> {
                $half.poll_readable(cx.waker())
            }
            fn poll_write(
                &mut $self,
                cx: &mut core::task::Context<'_>,
                data: &[u8],
            ) -> core::task::Poll<Result<usize, $crate::Error>> {
                $half.poll_write(data, cx.waker())
            }
            fn poll_flush(
                &mut $self,
                cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), $crate::Error>> {
                $half.poll_acknowledged(0, cx.waker())
            }
            fn poll_finish(
                &mut $self,
                _cx: &mut core::task::Context<'_>,
            ) -> core::task::Poll<Result<(), $crate::Error>> {
                core::task::Poll::Ready($half.finish())
            }
            fn reset(&mut $self) {
                $half.abort();
            }
        }
    };
}
