//! Multicast DNS and DNS-based service discovery (RFC 6762, RFC 6763): a name for the device without any server, its
//! services in the lists of phones and computers, and theirs in its own.
//!
//! [`Mdns`] is both roles of one interface with one cache, over IPv4 and IPv6 together. It needs no heap.
//!
//! # A device that can be found
//! ```
//! use net_core::Error;
//! use net_core::nal::{Interface, Multicast, UdpBind};
//! use net_services::mdns::{Config, Mdns, Resources, Service};
//!
//! // Memory for 3 services, 4 questions at once and 32 records of other devices. On a chip this is a `static`.
//! async fn greenhouse(net: impl UdpBind + Multicast + Interface, seed: u64) -> Result<(), Error> {
//!     let mut memory: Resources<3, 4, 32> = Resources::new();
//!     let mdns = Mdns::new(Config::new(), &mut memory, seed);
//!     mdns.set_host_name("greenhouse").expect("a valid name"); // greenhouse.local
//!     let pages = Service { instance: "Greenhouse, window side", kind: "_http._tcp", port: 80, ..Service::default() };
//!     mdns.publish(&pages).expect("room for another service");
//!     mdns.run(&net, &mut [0; 1472]).await
//! }
//! # // The same over a stack, to show that it works.
//! # use net_core::{cable::{Cable, Quality}, cidr::Ipv4Inet, dns::Family, stack::{self, HeapResources, PoolSizes}, time::Duration};
//! # use embassy_futures::{join::join, select::{select, select3}};
//! # let sizes = PoolSizes { tcp: 1, udp: 4, tcp_buffer: 512, udp_buffer: 2048 };
//! # let cable = Cable::new(Quality::PERFECT, 1);
//! # let host = |n| {
//! #     let config = stack::Config::new().with_ipv4(Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap(), None);
//! #     stack::new(cable.end(), config, Box::leak(Box::new(HeapResources::growing(sizes))), n.into()).unwrap()
//! # };
//! # let ((one, mut one_runs), (two, mut two_runs)) = (host(1), host(2));
//! # let finding = async {
//! #     let mut memory: Resources<0, 4, 8> = Resources::new();
//! #     let (finder, mut buffer) = (Mdns::new(Config::new(), &mut memory, 2), [0; 1472]);
//! #     let found = finder.lookup("greenhouse.local", Family::V4, Duration::from_secs(10));
//! #     select(finder.run(&two, &mut buffer), async { assert_eq!(found.await.unwrap()[0], one.status().addresses[0].address()) }).await
//! # };
//! # virtual_time::block_on(select3(greenhouse(one, 1), finding, join(one_runs.run(), two_runs.run())));
//! ```
//!
//! # Publishing
//! Nothing is believed to be free: each name is probed three times within a second before it is used, and defended for as
//! long as it is. When another device has it, this one takes the next: `greenhouse-2`, `Greenhouse, window side (2)`.
//! [`Mdns::event`] tells, and a device stores the new name, so that the two do not swap names at every start. Of two
//! that start at the same moment one gives way.
//!
//! - [`Mdns::set_host_name`]: the host. Its addresses are those of the interface, and follow them.
//! - [`Mdns::publish`]: a service, with attributes and subtypes. [`Mdns::set_txt`] changes the attributes,
//!   [`Mdns::withdraw`] ends it.
//! - [`Mdns::delegate`]: another host's name and addresses, for one that cannot speak for itself; services may be on it.
//! - [`Mdns::stop`]: says goodbye for everything, so that it vanishes from lists at once.
//!
//! # Finding
//! - [`Mdns::browse`]: the instances of a service type as they come, change and go, with all that is needed to use them;
//!   until the handle is dropped. With [`with_timeout`](net_core::time::with_timeout) around it, once.
//! - [`Mdns::browse_types`]: which types there are.
//! - [`Mdns::lookup`], [`Mdns::reverse`], [`Mdns::resolve`]: a host's addresses, an address's host, one instance.
//! - The [resolver](net_core::dns) of net-core asks the service that it is
//!   [given](net_core::dns::Resolver::set_local_names), so that `printer.local` works wherever a host name does.
//!
//! A device finds itself too: what it publishes is part of what it finds.
//!
//! What is found is kept for as long as its owner said, and asked for again before that ends. Records that nobody here
//! asks for are kept only while there is room.
//!
//! # On the network
//! One `Mdns` for each interface: a device with a station and an access point has two. Each follows what happens to its
//! interface by itself: it waits for the link and the first address, announces a changed address and withdraws the old
//! one, and begins anew when the link returns or the device has slept. Two interfaces on the same link would take each
//! other for strangers; [`Mdns::set_siblings`] prevents that.
//!
//! Multicasts go to both groups, 224.0.0.251 and ff02::fb, as far as the interface has addresses of that version; the copy
//! that comes over the other one is recognised and ignored.
//!
//! Where other programs on a computer use port 5353 too (Avahi, systemd-resolved, a browser), it is shared, and
//! [`Config::unicast`] is to be `false`.
//!
//! # Memory and time
//! All memory is [`Resources`], the buffer of [`run`](Mdns::run), and the futures. With 3 services and a cache of 32
//! records it is below 6 KiB on a 32-bit chip; `./x bench` prints it.
//!
//! A flood of records, questions or conflicts takes no more memory, and at most delays the answers: at most one packet is
//! handled at a time, what is due to be sent goes first, and no record is multicast more than once a second.
//!
//! # Without sockets
//! [`Engine`] is the protocol without I/O and without a clock of its own, for programs with an event loop of their own and
//! for tests. Everything else here is made of it.
//!
//! What of the RFCs is done, section by section, is in the README of this crate.

// Functions that many others call are `#[inline(never)]`: repeated in each of these they would take 25 KB more of a chip's
// flash. Those with a single caller need nothing.
mod answer;
mod asking;
mod browse;
mod browser;
mod cache;
mod cached;
mod claim;
mod clock;
mod config;
mod conflict;
mod data;
mod digest;
mod engine;
mod error;
mod interest;
mod local_names;
mod lookup;
mod marks;
mod message;
mod name;
mod network;
mod numbered;
mod observing;
mod own;
mod pending;
mod pool;
mod probe;
mod publish;
mod questions;
mod random;
mod reply;
mod responder;
mod service;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transmit;
mod txt;
mod types;

pub use browse::{Browse, BrowseTypes, Found, FoundType, Instance};
pub use config::{Config, QUESTION_BYTES, RECORD_BYTES, Resources, SERVICE_BYTES};
pub use engine::{Arrival, Destination, Engine, GROUP_V4, GROUP_V6, HOP_LIMIT, PORT, Transmit};
pub use error::MdnsError;
pub use name::Label;
pub use service::Mdns;
pub use txt::Txt;
pub use types::{Event, HostId, SUBTYPES, Service, ServiceId, Stats};

use types::QuestionId;
