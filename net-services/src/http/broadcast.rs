//! One message to many connections.
//!
//! A [`Broadcast`] keeps the latest messages in a ring of bytes. Every [`Subscriber`] is only a place in that ring, so that any
//! number of them costs nothing, and none can hold the others or the publisher up: one that was too slow for the ring is told how
//! many messages it has [missed](Lagged).
//!
//! It is for tasks on one thread, as everything here: make one beside the server and give handlers a reference to
//! it.
//!
//! ```
//! # virtual_time::block_on(async {
//! use net_services::http::broadcast::{Broadcast, Lagged};
//! use net_services::http::websocket::Message;
//!
//! let news = Broadcast::<64>::new();
//! let mut reader = news.subscribe();
//! news.publish("hello")?;
//! news.publish(&[1u8, 2, 3][..])?;
//!
//! let mut buffer = [0; 32];
//! assert_eq!(reader.next(&mut buffer).await, Ok(Message::Text("hello")));
//! assert_eq!(reader.next(&mut buffer).await, Ok(Message::Binary(&[1, 2, 3])));
//!
//! for n in 0..10 {
//!     news.publish(["ten bytes.", "or eleven.."][n % 2])?;
//! }
//! assert_eq!(reader.next(&mut buffer).await, Err(Lagged(6)));
//! assert_eq!(reader.next(&mut buffer).await, Ok(Message::Text("ten bytes.")));
//! # Ok::<(), net_services::http::Error>(()) }).unwrap();
//! ```

use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use net_core::waiters::Waiters;

use super::Error;
use super::websocket::Message;

/// Tasks that are woken at once by a new message; one more looks again every 100 ms.
const WAITERS: usize = 8;
/// Bytes in front of each message: twice its length, and 1 more if it is text.
const HEADER: usize = 4;

/// The latest messages, for any number of subscribers. `BYTES`: the size of the ring; each message takes 4 more than its
/// length, and pushes the oldest out when it needs their room.
#[derive(Debug)]
pub struct Broadcast<const BYTES: usize>(RefCell<Ring<[u8; BYTES]>>);

/// A message and where its header begins.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: u64,
    at: usize,
}

#[derive(Debug)]
struct Ring<B: ?Sized> {
    oldest: Place,
    /// Behind the newest.
    end: Place,
    /// Bytes between the two.
    used: usize,
    waiters: Waiters<WAITERS>,
    bytes: B,
}

impl<const BYTES: usize> Broadcast<BYTES> {
    /// An empty one.
    pub const fn new() -> Self {
        let start = Place { number: 0, at: 0 };
        Self(RefCell::new(Ring { oldest: start, end: start, used: 0, waiters: Waiters::new(), bytes: [0; BYTES] }))
    }

    /// Gives a message to all who are subscribed now: a `&str` as text, a `&[u8]` as bytes.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`] for a message longer than `BYTES - 4`; nobody gets it.
    pub fn publish<'m>(&self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let ring: &RefCell<Ring<[u8]>> = &self.0;
        ring.borrow_mut().push(message.into())
    }

    /// Gets every message that is published from now on.
    pub fn subscribe(&self) -> Subscriber<'_> {
        Subscriber { ring: &self.0, next: self.0.borrow().end }
    }
}

impl<const BYTES: usize> Default for Broadcast<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring<[u8]> {
    fn push(&mut self, message: Message<'_>) -> Result<(), Error> {
        let (bytes, is_text) = (message.as_bytes(), matches!(message, Message::Text(_)));
        let needed = bytes.len().saturating_add(HEADER);
        let header = u32::try_from(bytes.len()).ok().and_then(|length| length.checked_mul(2));
        let header = header.filter(|_| needed <= self.bytes.len()).ok_or(Error::BufferTooSmall)?;
        while self.bytes.len() - self.used < needed {
            let (length, _) = self.header(self.oldest);
            self.oldest = self.behind(self.oldest, length);
            self.used = self.used.saturating_sub(HEADER + length);
        }
        self.write(self.end.at, &(header | u32::from(is_text)).to_le_bytes());
        self.write(self.end.at + HEADER, bytes);
        self.end = self.behind(self.end, bytes.len());
        self.used += needed;
        self.waiters.wake_all();
        Ok(())
    }

    /// The length of the message at this place, and whether it is text.
    fn header(&self, place: Place) -> (usize, bool) {
        let mut header = [0; HEADER];
        self.read(place.at, &mut header);
        let header = u32::from_le_bytes(header);
        ((header / 2) as usize, header % 2 == 1)
    }

    fn behind(&self, place: Place, length: usize) -> Place {
        Place { number: place.number + 1, at: self.wrap(place.at + HEADER + length) }
    }

    /// A place that may lie behind the end, by less than the whole ring.
    fn wrap(&self, at: usize) -> usize {
        if at < self.bytes.len() { at } else { at - self.bytes.len() }
    }

    /// Copies into the ring, around its end.
    fn write(&mut self, at: usize, from: &[u8]) {
        let (start, end) = self.bytes.split_at_mut(self.wrap(at));
        let (first, second) = from.split_at(from.len().min(end.len()));
        copy(first, end);
        copy(second, start);
    }

    /// Copies out of the ring, around its end.
    fn read(&self, at: usize, to: &mut [u8]) {
        let (start, end) = self.bytes.split_at(self.wrap(at));
        let (first, second) = to.split_at_mut(to.len().min(end.len()));
        copy(end, first);
        copy(start, second);
    }
}

/// Copies as much as both have.
fn copy(from: &[u8], to: &mut [u8]) {
    let n = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..n), to.get_mut(..n)) {
        to.copy_from_slice(from);
    }
}

/// This subscriber was slower than the ring is long: so many messages came and went without it. The next one it gets is the
/// oldest that is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages missed", self.0)
    }
}

impl core::error::Error for Lagged {}

/// A reader of a [`Broadcast`]. A clone reads on from the same place.
#[derive(Debug, Clone)]
pub struct Subscriber<'a> {
    ring: &'a RefCell<Ring<[u8]>>,
    next: Place,
}

impl Subscriber<'_> {
    /// Waits for the next message and copies it to `buffer`. Dropping the future loses none.
    ///
    /// # Errors
    /// [`Lagged`] when messages have been missed. One that is longer than `buffer` counts as missed.
    pub async fn next<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Message<'b>, Lagged> {
        let (length, is_text) = poll_fn(|cx| match self.take(buffer) {
            Some(taken) => Poll::Ready(taken),
            None => {
                self.ring.borrow_mut().waiters.register(cx.waker());
                Poll::Pending
            }
        })
        .await?;
        Ok(message(buffer, length, is_text))
    }

    /// The next message, or `None` when there is none yet.
    ///
    /// # Errors
    /// Those of [`next`](Self::next).
    pub fn try_next<'b>(&mut self, buffer: &'b mut [u8]) -> Option<Result<Message<'b>, Lagged>> {
        let taken = self.take(buffer)?;
        Some(taken.map(|(length, is_text)| message(buffer, length, is_text)))
    }

    fn take(&mut self, buffer: &mut [u8]) -> Option<Result<(usize, bool), Lagged>> {
        let ring = self.ring.borrow();
        if let missed @ 1.. = ring.oldest.number.saturating_sub(self.next.number) {
            self.next = ring.oldest;
            return Some(Err(Lagged(missed)));
        }
        if self.next.number == ring.end.number {
            return None;
        }
        let (length, is_text) = ring.header(self.next);
        let at = self.next.at + HEADER;
        self.next = ring.behind(self.next, length);
        let Some(room) = buffer.get_mut(..length) else { return Some(Err(Lagged(1))) };
        ring.read(at, room);
        Some(Ok((length, is_text)))
    }
}

fn message(buffer: &[u8], length: usize, is_text: bool) -> Message<'_> {
    let bytes = buffer.get(..length).unwrap_or_default();
    match str::from_utf8(bytes) {
        Ok(text) if is_text => Message::Text(text),
        _ => Message::Binary(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn every_subscriber_gets_every_message_from_when_it_came() {
        let news = Broadcast::<100>::new();
        let mut buffer = [0; 100];
        assert_eq!(news.publish("before"), Ok(()));
        let mut a = news.subscribe();
        assert_eq!(a.try_next(&mut buffer), None);
        assert_eq!(news.publish("one"), Ok(()));
        let mut b = news.subscribe();
        assert_eq!(news.publish(&b"\xff"[..]), Ok(()));
        assert_eq!(a.try_next(&mut buffer), Some(Ok(Message::Text("one"))));
        assert_eq!(a.try_next(&mut buffer), Some(Ok(Message::Binary(b"\xff"))));
        assert_eq!(a.try_next(&mut buffer), None);
        assert_eq!(b.try_next(&mut buffer), Some(Ok(Message::Binary(b"\xff"))));
        assert_eq!(b.try_next(&mut buffer), None);
    }

    #[test]
    fn a_message_longer_than_the_ring_or_the_reader_s_buffer() {
        let news = Broadcast::<20>::new();
        let mut reader = news.subscribe();
        let mut buffer = [0; 20];
        assert_eq!(news.publish(&[0; 17][..]), Err(Error::BufferTooSmall));
        assert_eq!(reader.try_next(&mut buffer), None);
        assert_eq!(news.publish(&[7; 16][..]), Ok(()));
        assert_eq!(reader.clone().try_next(&mut buffer[..15]), Some(Err(Lagged(1))));
        assert_eq!(reader.try_next(&mut buffer[..16]), Some(Ok(Message::Binary(&[7; 16]))));
        for n in [8, 9] {
            assert_eq!(news.publish(&[n; 16][..]), Ok(()));
        }
        assert_eq!(reader.try_next(&mut buffer), Some(Err(Lagged(1))));
        assert_eq!(reader.try_next(&mut buffer), Some(Ok(Message::Binary(&[9; 16]))));
        assert_eq!(reader.try_next(&mut buffer), None);
        // A ring too small even for an empty message refuses, and does nothing else.
        assert_eq!(Broadcast::<3>::new().publish(""), Err(Error::BufferTooSmall));
        assert_eq!(Broadcast::<0>::new().publish(""), Err(Error::BufferTooSmall));
        assert_eq!(Broadcast::<4>::new().publish(""), Ok(()));
    }

    /// Against a plain queue: messages of every length, readers of every speed.
    #[test]
    fn the_ring_keeps_what_fits_and_counts_what_does_not() {
        const BYTES: usize = 61;
        let news = Broadcast::<BYTES>::new();
        let mut kept: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        let mut readers: Vec<_> = (0..5).map(|_| (news.subscribe(), 0u64)).collect();
        let mut buffer = [0; BYTES];
        for number in 0..5000u64 {
            let message = vec![number as u8; (number * 37 % 58) as usize];
            assert_eq!(news.publish(&message[..]), Ok(()));
            kept.push_back((number, message));
            while kept.iter().map(|(_, message)| message.len() + 4).sum::<usize>() > BYTES {
                kept.pop_front();
            }
            for (speed, (reader, next)) in readers.iter_mut().enumerate() {
                if !number.is_multiple_of(speed as u64 * 3 + 1) {
                    continue;
                }
                while let Some(got) = reader.try_next(&mut buffer) {
                    match got {
                        Err(Lagged(missed)) => *next += missed,
                        Ok(message) => {
                            let (_, expected) = kept.iter().find(|(number, _)| number == next).unwrap();
                            assert_eq!(message.as_bytes(), expected);
                            *next += 1;
                        }
                    }
                }
                assert_eq!(*next, number + 1);
            }
        }
    }

    #[test]
    fn waiting_more_than_there_are_places_neither_spins_nor_starves() {
        use embassy_futures::join::join;
        use net_core::time::{Duration, Timer};

        let polls = core::cell::Cell::new(0u32);
        virtual_time::block_on(async {
            let news = Broadcast::<32>::new();
            let waits = (0..WAITERS * 3).map(|_| {
                let mut reader = news.subscribe();
                virtual_time::own_task(async move {
                    let mut buffer = [0; 8];
                    reader.next(&mut buffer).await == Ok(Message::Text("now"))
                })
            });
            let all = virtual_time::counting_polls(&polls, virtual_time::join_all(waits.collect()));
            let publish = async {
                Timer::after(Duration::from_secs(1)).await;
                news.publish("now")
            };
            let (got, published) = join(all, publish).await;
            assert_eq!(published, Ok(()));
            assert!(got.iter().all(|got| *got));
        });
        assert!(polls.get() < 1000, "{} polls: the waiters wake each other", polls.get());
    }

    #[test]
    fn a_wait_that_is_given_up_loses_nothing() {
        use embassy_futures::select::{Either, select};
        use net_core::time::{Duration, Timer};

        virtual_time::block_on(async {
            let news = Broadcast::<32>::new();
            let mut reader = news.subscribe();
            let mut buffer = [0; 8];
            let waited = select(Timer::after(Duration::from_secs(1)), reader.next(&mut buffer)).await;
            assert!(matches!(waited, Either::First(())));
            assert_eq!(news.publish("kept"), Ok(()));
            assert_eq!(reader.next(&mut buffer).await, Ok(Message::Text("kept")));
        });
    }
}
