//! What happens to an interface, told to any number of readers.
//!
//! An [`EventLog`] is a short ring of numbered events. A reader ([`Events`]) is only a position in it, so readers cost
//! the log nothing, each gets every event, and none can use up or wake another: a reader that fell behind is told how
//! many it missed. [`Status`] is the state as it is now, for a reader that only wants to know that.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::Poll;

use cidr::IpInet;
use heapless::Vec;

use crate::limits;
use crate::waiters::Waiters;

/// Something that happened to an interface or to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The cable is in, the radio is associated.
    LinkUp,
    /// The link is gone. Addresses learnt by DHCP or SLAAC are lost with it, each with its own event.
    LinkDown,
    /// The interface has a new address.
    AddressAdded(IpInet),
    /// The interface no longer has this address.
    AddressRemoved(IpInet),
    /// The list of DNS servers is another one; see [`Status::dns_servers`].
    DnsServersChanged,
    /// DHCP got a lease, or another one; what it brought is in [`Status`].
    LeaseAcquired,
    /// The DHCP lease ran out, was refused, or its link went.
    LeaseLost,
    /// The time of day has been set.
    TimeSet,
    /// This reader was slow and has missed so many events. [`Status`] is still right.
    Missed(u32),
}

/// The state of an interface at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Whether the link is up.
    pub link_up: bool,
    /// The hardware (MAC) address, or `None` where the medium has none.
    pub hardware_address: Option<[u8; 6]>,
    /// The addresses, with their prefix lengths.
    pub addresses: Vec<IpInet, { limits::ADDRESSES }>,
    /// The IPv4 default router.
    pub gateway_v4: Option<Ipv4Addr>,
    /// The IPv6 default router.
    pub gateway_v6: Option<Ipv6Addr>,
    /// The DNS servers in force, first choice first.
    pub dns_servers: Vec<IpAddr, { limits::DNS_SERVERS }>,
    /// The NTP servers that DHCP named (option 42).
    pub ntp_servers: Vec<Ipv4Addr, { limits::NTP_SERVERS }>,
}

impl Status {
    /// Whether there is an address that other hosts can be reached from: any but link-local IPv6.
    pub fn is_configured(&self) -> bool {
        self.addresses.iter().any(|net| match net.address() {
            IpAddr::V4(_) => true,
            IpAddr::V6(addr) => !addr.is_unicast_link_local(),
        })
    }

    /// The first IPv4 address.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|net| match net.address() {
            IpAddr::V4(addr) => Some(addr),
            IpAddr::V6(_) => None,
        })
    }
}

#[derive(Debug)]
struct Ring {
    events: Vec<Event, { limits::EVENTS }>,
    waiters: Waiters<{ limits::EVENT_WAITERS }>,
}

/// The events of one interface or clock.
#[derive(Debug)]
pub struct EventLog {
    /// How many events there have ever been; the newest is at `(count - 1) % limits::EVENTS` of the ring.
    count: Cell<u32>,
    ring: RefCell<Ring>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLog {
    /// A log without events.
    pub const fn new() -> Self {
        Self { count: Cell::new(0), ring: RefCell::new(Ring { events: Vec::new(), waiters: Waiters::new() }) }
    }

    /// Tells an event to all readers. For those who make events: stacks, clocks, ports.
    pub fn push(&self, event: Event) {
        let mut ring = self.ring.borrow_mut();
        let at = self.count.get() as usize % limits::EVENTS;
        if let Some(slot) = ring.events.get_mut(at) {
            *slot = event;
        } else {
            // The ring fills in order, so `at` is the next free place; the push cannot fail.
            let _ = ring.events.push(event);
        }
        // After 2^32 events numbering starts anew; a reader would have to sleep through all of them to notice.
        self.count.set(self.count.get().wrapping_add(1));
        ring.waiters.wake_all();
    }

    /// A reader of the events from now on.
    pub fn subscribe(&self) -> Events<'_> {
        Events { log: self, next: self.count.get() }
    }
}

/// A reader of an [`EventLog`].
#[derive(Debug, Clone)]
pub struct Events<'a> {
    log: &'a EventLog,
    next: u32,
}

impl Events<'_> {
    /// The next event, or `None` when there is none yet.
    pub fn try_next(&mut self) -> Option<Event> {
        let behind = self.log.count.get().wrapping_sub(self.next);
        let kept = limits::EVENTS as u32;
        if behind == 0 {
            None
        } else if behind > kept {
            self.next = self.next.wrapping_add(behind - kept);
            Some(Event::Missed(behind - kept))
        } else {
            let event = self.log.ring.borrow().events.get(self.next as usize % limits::EVENTS).copied();
            self.next = self.next.wrapping_add(1);
            event
        }
    }

    /// Waits for the next event. Dropping the future loses none.
    pub async fn next(&mut self) -> Event {
        poll_fn(|cx| match self.try_next() {
            Some(event) => Poll::Ready(event),
            None => {
                self.log.ring.borrow_mut().waiters.register(cx.waker());
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use embassy_time::Duration;

    use super::*;

    #[test]
    fn every_reader_gets_every_event_in_order() {
        virtual_time::block_on(async {
            let log = EventLog::new();
            let mut a = log.subscribe();
            let mut b = log.subscribe();
            log.push(Event::LinkUp);
            log.push(Event::LinkDown);
            assert_eq!(a.next().await, Event::LinkUp);
            assert_eq!(a.next().await, Event::LinkDown);
            assert_eq!(a.try_next(), None);
            assert_eq!(b.next().await, Event::LinkUp);
        });
    }

    #[test]
    fn a_slow_reader_is_told_how_many_it_missed() {
        let log = EventLog::new();
        let mut reader = log.subscribe();
        for _ in 0..limits::EVENTS + 3 {
            log.push(Event::LinkUp);
        }
        assert_eq!(reader.try_next(), Some(Event::Missed(3)));
        for _ in 0..limits::EVENTS {
            assert_eq!(reader.try_next(), Some(Event::LinkUp));
        }
        assert_eq!(reader.try_next(), None);
    }

    /// embassy-net 0.9 has one waker here: two waiters wake each other without end.
    #[test]
    fn more_waiters_than_places_neither_spin_nor_starve() {
        use std::vec::Vec;

        let polls = core::cell::Cell::new(0u32);
        virtual_time::block_on(async {
            let log = EventLog::new();
            let mut readers: Vec<_> = (0..limits::EVENT_WAITERS * 3).map(|_| log.subscribe()).collect();
            let waits: Vec<_> = readers.iter_mut().map(|reader| virtual_time::own_task(reader.next())).collect();
            let all = virtual_time::join_all(waits);
            let pushes = async {
                embassy_time::Timer::after(Duration::from_secs(1)).await;
                log.push(Event::LinkUp);
            };
            let counted = virtual_time::counting_polls(&polls, all);
            let (got, ()) = embassy_futures::join::join(counted, pushes).await;
            assert!(got.iter().all(|event| *event == Event::LinkUp));
        });
        assert!(polls.get() < 2000, "{} polls: the waiters wake each other", polls.get());
    }
}
