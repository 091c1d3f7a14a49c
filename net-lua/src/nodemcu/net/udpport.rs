//! One UDP socket of a stack, used from two sides: a script that sends at once, and a task that waits.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddr;
use core::task::{Context, Poll};

use net_core::Error;

use crate::adapter::{Adapter, Datagrams, LocalFuture};
use crate::engine::poll_once;
use crate::limits;

type Shared = Rc<RefCell<Option<Box<dyn Datagrams>>>>;

/// What the task waits for. Its future has the socket borrowed; dropping it gives the socket back, and loses nothing:
/// the task makes another one, since it is polled after every Lua call.
enum Waiting {
    Readable(LocalFuture<'static, Result<(), Error>>),
    Sent(LocalFuture<'static, Result<(), Error>>),
}

pub(super) struct Port {
    pub(super) adapter: Rc<dyn Adapter>,
    /// None until the stack has bound it, and again when it is closed.
    socket: Shared,
    waiting: RefCell<Option<Waiting>>,
    /// Datagrams that wait for room in the stack.
    outbox: RefCell<VecDeque<(SocketAddr, Vec<u8>)>>,
    buffer: RefCell<Vec<u8>>,
}

/// What a task of a port is told.
pub(super) enum Event {
    /// A datagram and where it came from.
    Received(Vec<u8>, SocketAddr),
    /// Sending to this address, or receiving (none), has failed.
    Failed(Option<SocketAddr>, Error),
}

impl Port {
    pub(super) fn new(adapter: Rc<dyn Adapter>) -> Self {
        Self {
            adapter,
            socket: Shared::default(),
            waiting: RefCell::new(None),
            outbox: RefCell::default(),
            buffer: RefCell::default(),
        }
    }

    /// The stack has bound it.
    pub(super) fn opened(&self, socket: Box<dyn Datagrams>) {
        *self.socket.borrow_mut() = Some(socket);
    }

    /// Frees the port.
    pub(super) fn close(&self) {
        self.with_socket(Option::take);
    }

    /// Does something with the socket at once.
    fn with_socket<R>(&self, action: impl FnOnce(&mut Option<Box<dyn Datagrams>>) -> R) -> Option<R> {
        // Dropped outside the cell, since it gives the socket back.
        let waiting = self.waiting.borrow_mut().take();
        drop(waiting);
        self.socket.try_borrow_mut().ok().map(|mut socket| action(&mut socket))
    }

    /// Sends at once or, when the stack has no room, presently.
    ///
    /// # Errors
    /// Those of the stack, and [`Error::TooLarge`] when too much waits.
    pub(super) fn send(&self, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        if self.outbox.borrow().is_empty() {
            let send = |socket: &mut Option<Box<dyn Datagrams>>| poll_once(&mut socket.as_mut()?.send(remote, data));
            if let Some(Some(result)) = self.with_socket(send) {
                return result;
            }
        }
        let mut outbox = self.outbox.borrow_mut();
        if outbox.len() >= limits::UDP_QUEUE {
            return Err(Error::TooLarge);
        }
        outbox.push_back((remote, data.to_vec()));
        Ok(())
    }

    pub(super) fn hop_limit(&self) -> Option<u8> {
        self.with_socket(|socket| socket.as_ref().map(|socket| socket.hop_limit())).flatten()
    }

    pub(super) fn set_hop_limit(&self, hop_limit: u8) {
        self.with_socket(|socket| socket.as_mut().map(|socket| socket.set_hop_limit(hop_limit)));
    }

    /// Sends what waits, then, if the script `wants` it, receives.
    pub(super) fn poll(&self, cx: &mut Context<'_>, wants: bool) -> Poll<Event> {
        loop {
            let first = self.outbox.borrow().front().cloned();
            let mut waiting = self.waiting.borrow_mut();
            let next = match (waiting.take(), first) {
                (Some(Waiting::Sent(future)), _) => Waiting::Sent(future),
                (readable, Some((remote, data))) => {
                    drop(readable);
                    Waiting::Sent(self.sent(remote, data))
                }
                (Some(readable), None) if wants => readable,
                (None, None) if wants => Waiting::Readable(self.readable()),
                (_, None) => return Poll::Pending,
            };
            let is_sending = matches!(next, Waiting::Sent(_));
            let (Waiting::Readable(future) | Waiting::Sent(future)) = waiting.insert(next);
            let Poll::Ready(result) = future.as_mut().poll(cx) else { return Poll::Pending };
            *waiting = None;
            drop(waiting);
            if is_sending {
                let sent = self.outbox.borrow_mut().pop_front();
                if let Err(error) = result {
                    return Poll::Ready(Event::Failed(sent.map(|(remote, _)| remote), error));
                }
                continue;
            }
            return match result.and_then(|()| self.receive().transpose()).transpose() {
                Some(Ok((data, remote))) => Poll::Ready(Event::Received(data, remote)),
                Some(Err(error)) => Poll::Ready(Event::Failed(None, error)),
                None => {
                    // It was not readable after all.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            };
        }
    }

    fn receive(&self) -> Option<Result<(Vec<u8>, SocketAddr), Error>> {
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(limits::DATAGRAM, 0);
        let received = self.with_socket(|socket| poll_once(&mut socket.as_mut()?.receive(&mut buffer)));
        let result = received.flatten()?;
        Some(result.map(|(length, remote)| (buffer[..length.min(limits::DATAGRAM)].to_vec(), remote)))
    }

    // The borrow is the point: whoever needs the socket drops the future first (`with_socket`).
    #[allow(clippy::await_holding_refcell_ref)]
    fn readable(&self) -> LocalFuture<'static, Result<(), Error>> {
        let socket = self.socket.clone();
        Box::pin(async move {
            match &mut *socket.borrow_mut() {
                Some(socket) => socket.readable().await,
                None => Err(Error::Closed),
            }
        })
    }

    #[allow(clippy::await_holding_refcell_ref)]
    fn sent(&self, remote: SocketAddr, data: Vec<u8>) -> LocalFuture<'static, Result<(), Error>> {
        let socket = self.socket.clone();
        Box::pin(async move {
            match &mut *socket.borrow_mut() {
                Some(socket) => socket.send(remote, &data).await,
                None => Err(Error::Closed),
            }
        })
    }
}
