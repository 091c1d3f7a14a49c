//! A link whose hosts are a closure: what is sent to the mDNS groups, and what comes back.

use core::cell::RefCell;
use core::future::pending;
use core::net::{IpAddr, SocketAddr};
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use embassy_time::{Duration, Instant, Timer};

use super::net::Net;
use super::wire::{Message, read_name};
use crate::Error;
use crate::nal::UnconnectedUdp;

/// A multicast query, as a responder sees it.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) at: Instant,
    pub(super) to: SocketAddr,
    pub(super) id: u16,
    pub(super) name: String,
    pub(super) rtype: u16,
    /// Name, type and class as on the wire.
    pub(super) question: Vec<u8>,
}

impl Query {
    fn new(bytes: &[u8], to: SocketAddr) -> Self {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        // M-33: no flag is set.
        assert_eq!([word(2), word(4), word(6), word(8), word(10)], [0, 1, 0, 0, 0], "one question, nothing else");
        let (name, rest) = read_name(&bytes[12..]);
        let [t1, t0, 0, 1] = *rest else { panic!("class IN, without the bit for a unicast answer, and the end") };
        let rtype = u16::from_be_bytes([t1, t0]);
        Self { at: Instant::now(), to, id: word(0), name, rtype, question: bytes[12..].to_vec() }
    }

    /// A reply as M-23 has it: the query's id, its question, AA.
    pub(super) fn reply(&self) -> Message {
        let sections = Default::default();
        Message { id: self.id, flags: 0x8400, questions: [self.question.clone()].into(), sections }
    }
}

/// What a query brings about.
pub(super) struct Answer {
    after: Duration,
    /// From another address than the mDNS port of a host on the link.
    from: Option<SocketAddr>,
    bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self { after: Duration::from_millis(10), from: None, bytes }
    }

    pub(super) fn after(mut self, millis: u64) -> Self {
        self.after = Duration::from_millis(millis);
        self
    }

    pub(super) fn sent_by(mut self, from: &str) -> Self {
        self.from = Some(from.parse().unwrap());
        self
    }
}

impl From<Message> for Answer {
    fn from(message: Message) -> Self {
        Self::bytes(message.bytes())
    }
}

type Script = Box<dyn FnMut(&Query) -> Vec<Answer>>;

/// The link of a [`Net`].
#[derive(Default)]
pub(super) struct Link {
    /// Nobody is there when this is `None`.
    script: RefCell<Option<Script>>,
    pub(super) queries: RefCell<Vec<Query>>,
}

impl Link {
    pub(super) fn count(&self) -> usize {
        self.queries.borrow().len()
    }

    /// `f` of each query so far.
    pub(super) fn each<T>(&self, f: impl Fn(&Query) -> T) -> Vec<T> {
        self.queries.borrow().iter().map(f).collect()
    }
}

/// A network without servers, an interface with these addresses, and a link whose hosts answer so.
pub(super) fn network(addresses: &[&str], script: impl FnMut(&Query) -> Vec<Answer> + 'static) -> Net {
    let net = Net::new(|_| panic!("no server is to be asked"));
    let mut status = net.status.borrow_mut();
    status.link_up = true;
    status.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    drop(status);
    *net.link.script.borrow_mut() = Some(Box::new(script));
    net
}

/// An unconnected UDP socket.
pub(super) struct LinkSocket {
    net: Net,
    local: SocketAddr,
    due: Vec<(Instant, SocketAddr, Vec<u8>)>,
}

impl LinkSocket {
    pub(super) fn new(net: &Net, local: SocketAddr) -> Self {
        net.open.set(net.open.get() + 1);
        Self { net: net.clone(), local, due: Vec::new() }
    }
}

impl Drop for LinkSocket {
    fn drop(&mut self) {
        self.net.open.set(self.net.open.get() - 1);
    }
}

impl UnconnectedUdp for LinkSocket {
    type Error = Error;

    async fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        assert!(local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4(), "from {local} to {remote}");
        assert!(self.local.is_ipv6() || remote.is_ipv4(), "a socket of IPv4 sends to {remote}");
        if !self.net.status.borrow().link_up {
            return Err(Error::Unreachable);
        }
        let query = Query::new(data, remote);
        self.net.link.queries.borrow_mut().push(query.clone());
        if let Some(script) = &mut *self.net.link.script.borrow_mut() {
            let usual = if remote.is_ipv4() { "10.0.0.7:5353" } else { "[fe80::7]:5353" };
            for answer in script(&query) {
                let from = answer.from.unwrap_or_else(|| usual.parse().unwrap());
                self.due.push((Instant::now() + answer.after, from, answer.bytes));
            }
        }
        Ok(())
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let Some(earliest) = (0..self.due.len()).min_by_key(|&i| self.due[i].0) else { return pending().await };
        Timer::at(self.due[earliest].0).await;
        let (_, from, bytes) = self.due.remove(earliest);
        let kept = bytes.len().min(buffer.len());
        buffer[..kept].copy_from_slice(&bytes[..kept]);
        Ok((bytes.len(), SocketAddr::new(IpAddr::from([10, 0, 0, 2]), 49152), from))
    }
}
