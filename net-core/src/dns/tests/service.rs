//! Names below `.local`, asked of an mDNS service on this device.

use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};
use std::string::String;
use std::vec;

use embassy_futures::join::join;
use embassy_time::{Duration, Instant, Timer};

use super::link::network;
use super::wire::name;
use super::*;
use crate::dns::{LocalAnswer, LocalNames, LocalQuestion, LocalType};

const HOST: &str = "Printer.local";
const FOUR: &str = "10.0.0.7";
const SIX: &str = "fe80::7";

/// Name and type.
type Question = (Vec<u8>, LocalType);

/// A service with room for four questions, whose knowledge is set by the test.
#[derive(Default)]
struct Fake {
    running: Cell<bool>,
    full: Cell<bool>,
    known: RefCell<Vec<(LocalType, Vec<Known>)>>,
    questions: RefCell<[Option<Question>; 4]>,
    begun: RefCell<Vec<Question>>,
    wakers: RefCell<Vec<Waker>>,
    polls: Cell<u32>,
}

#[derive(Clone)]
enum Known {
    Address(IpAddr),
    Name(Vec<u8>),
}

impl Fake {
    fn running() -> Self {
        Self { running: Cell::new(true), ..Self::default() }
    }

    /// Learns all records of a type; with none, that there is none.
    fn learn(&self, rtype: LocalType, records: &[Known]) {
        self.known.borrow_mut().push((rtype, records.to_vec()));
        self.wake();
    }

    fn stop(&self) {
        self.running.set(false);
        self.wake();
    }

    fn wake(&self) {
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    fn held(&self) -> usize {
        self.questions.borrow().iter().flatten().count()
    }
}

fn at(address: &str) -> [Known; 1] {
    [Known::Address(ip(address))]
}

impl LocalNames for Fake {
    fn is_running(&self) -> bool {
        self.running.get()
    }

    fn begin(&self, question: LocalQuestion<'_>) -> Option<u32> {
        let mut questions = self.questions.borrow_mut();
        let id = questions.iter().position(Option::is_none).filter(|_| !self.full.get())?;
        questions[id] = Some((question.name.to_vec(), question.rtype));
        self.begun.borrow_mut().push((question.name.to_vec(), question.rtype));
        Some(id as u32)
    }

    fn poll(&self, id: u32, cx: &mut Context<'_>, found: &mut dyn FnMut(LocalAnswer<'_>)) -> Poll<()> {
        self.polls.set(self.polls.get() + 1);
        assert!(self.running.get());
        let questions = self.questions.borrow();
        let (_, rtype) = questions[id as usize].as_ref().unwrap();
        let known = self.known.borrow();
        let Some((_, records)) = known.iter().find(|(known, _)| known == rtype) else {
            self.wakers.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        };
        for record in records {
            found(match record {
                Known::Address(address) => LocalAnswer::Address(*address),
                Known::Name(name) => LocalAnswer::Name(name),
            });
        }
        Poll::Ready(())
    }

    fn end(&self, id: u32) {
        assert!(self.questions.borrow_mut()[id as usize].take().is_some());
    }
}

/// A network whose link is not to be asked.
fn silent() -> Net {
    network(&["10.0.0.2/24"], |_| panic!("the link is asked"))
}

fn asking<'m>(net: &Net, service: &'m Fake) -> Resolver<'m, Net> {
    let resolver = Resolver::new(net.clone(), 0x5eed);
    resolver.set_local_names(Some(service));
    resolver
}

/// The result, and how many milliseconds it took.
fn timed(resolver: &Resolver<'_, Net>, family: Family) -> (Result<Vec<IpAddr>, DnsError>, u64) {
    virtual_time::block_on(async {
        let start = Instant::now();
        let found = resolver.lookup(HOST, family).await;
        (found.map(|addresses| addresses.to_vec()), start.elapsed().as_millis())
    })
}

/// After so many milliseconds the service learns, while a lookup waits.
fn while_asking(
    resolver: &Resolver<'_, Net>,
    family: Family,
    millis: u64,
    then: impl FnOnce(),
) -> (Result<Vec<IpAddr>, DnsError>, u64) {
    virtual_time::block_on(async {
        let start = Instant::now();
        let lookup = virtual_time::own_task(async {
            let found = resolver.lookup(HOST, family).await;
            (found.map(|addresses| addresses.to_vec()), start.elapsed().as_millis())
        });
        let then = async {
            Timer::after(Duration::from_millis(millis)).await;
            then();
        };
        join(lookup, then).await.0
    })
}

#[test]
fn a_running_service_is_asked_instead_of_the_link() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    service.learn(LocalType::A, &at(FOUR));
    assert_eq!(timed(&resolver, Family::V4), (ips(&[FOUR]), 0));
    assert_eq!(service.begun.take(), [(name(HOST), LocalType::A)]);
    service.learn(LocalType::Aaaa, &at(SIX));
    assert_eq!(timed(&resolver, Family::Both), (ips(&[FOUR, SIX]), 0));
    assert_eq!(timed(&resolver, Family::Either), (ips(&[FOUR]), 0));
    assert_eq!(timed(&resolver, Family::V6), (ips(&[SIX]), 0));
    assert_eq!(service.held(), 0);
    assert_eq!((resolver.stats().cached, resolver.stats().mdns_queries), (0, 0), "it has a cache of its own");
}

#[test]
fn it_is_waited_for_and_wakes_the_lookup() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    let learn = || service.learn(LocalType::A, &at(FOUR));
    assert_eq!(while_asking(&resolver, Family::V4, 300, learn), (ips(&[FOUR]), 300));
    assert_eq!(service.polls.get(), 2, "once at first, and once when it was woken");
    // The other version is waited for half a second longer, and no longer.
    assert_eq!(timed(&resolver, Family::Both), (ips(&[FOUR]), 500));
    let learn = || service.learn(LocalType::Aaaa, &at(SIX));
    assert_eq!(while_asking(&resolver, Family::Both, 400, learn), (ips(&[FOUR, SIX]), 400));
    assert_eq!(service.held(), 0);
}

#[test]
fn silence_is_not_found_and_a_denial_no_data() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    assert_eq!(timed(&resolver, Family::Both), (Err(DnsError::NotFound), 5000));
    assert_eq!(resolver.stats().timeouts, 1);
    service.learn(LocalType::Aaaa, &[]);
    assert_eq!(timed(&resolver, Family::V6), (Err(DnsError::NoData), 0));
    assert_eq!(timed(&resolver, Family::Both), (Err(DnsError::NoData), 5000));
    service.learn(LocalType::A, &at(FOUR));
    assert_eq!(timed(&resolver, Family::Both), (ips(&[FOUR]), 0));
    assert_eq!(service.held(), 0);
}

#[test]
fn without_a_running_service_the_link_is_asked() {
    let answering = || network(&["10.0.0.2/24"], |query| vec![query.reply().a(&query.name, 0, 1).into()]);
    let (net, service) = (answering(), Fake::default());
    let resolver = asking(&net, &service);
    assert_eq!(timed(&resolver, Family::V4), (ips(&["192.0.2.1"]), 10));
    assert!(service.begun.take().is_empty());
    // It has started and has no room.
    service.running.set(true);
    service.full.set(true);
    assert_eq!(timed(&resolver, Family::V4), (ips(&["192.0.2.1"]), 10));
    // It stops while it is asked.
    service.full.set(false);
    let stop = || service.stop();
    assert_eq!(while_asking(&resolver, Family::V4, 200, stop), (ips(&["192.0.2.1"]), 210));
    assert_eq!(service.held(), 0);
    // It is taken away.
    service.running.set(true);
    resolver.set_local_names(None);
    assert_eq!(timed(&resolver, Family::V4), (ips(&["192.0.2.1"]), 10));
    assert_eq!((service.begun.take().len(), net.link.count()), (1, 4));
}

#[test]
fn a_dropped_lookup_ends_its_questions() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    virtual_time::block_on(async {
        let limit = Duration::from_millis(100);
        let lookup =
            async { join(resolver.lookup(HOST, Family::Both), resolver.lookup("other.local", Family::Both)).await };
        let check = async {
            Timer::after(Duration::from_millis(50)).await;
            assert_eq!(service.held(), 4);
        };
        assert!(join(embassy_time::with_timeout(limit, lookup), check).await.0.is_err());
    });
    assert_eq!(service.held(), 0);
}

#[test]
fn names_of_addresses_are_asked_for_too() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    let reverse = |address: &str| {
        let mut buffer = [0; 253];
        virtual_time::block_on(resolver.reverse(ip(address), &mut buffer)).map(String::from)
    };
    assert_eq!(reverse("169.254.1.2"), Err(DnsError::NotFound));
    let names = vec![Known::Name(name(HOST)), Known::Name(name("second.local"))];
    service.learn(LocalType::Ptr, &names);
    assert_eq!(reverse("169.254.1.2").as_deref(), Ok(HOST));
    assert_eq!(reverse("fe80::7").as_deref(), Ok(HOST));
    let begun = service.begun.take();
    assert_eq!(begun[0], (name("2.1.254.169.in-addr.arpa"), LocalType::Ptr));
    assert!(begun[2].0.ends_with(&name("8.e.f.ip6.arpa")));
    assert_eq!(service.held(), 0);
}

/// What a service says is taken as it is, but does no harm.
#[test]
fn a_service_that_answers_beside_the_point_is_survived() {
    let (net, service) = (silent(), Fake::running());
    let resolver = asking(&net, &service);
    let mut many: Vec<Known> = (1..=20).map(|n| Known::Address([10, 0, 0, n].into())).collect();
    many.insert(0, Known::Name(vec![b'x'; 300]));
    many.insert(0, Known::Address(ip(SIX)));
    service.learn(LocalType::A, &many);
    assert_eq!(timed(&resolver, Family::V4).0.map(|found| found.len()), Ok(8));
    service.learn(LocalType::Ptr, &[Known::Name(vec![b'x'; 300]), Known::Address(ip(FOUR))]);
    let mut buffer = [0; 253];
    let found = virtual_time::block_on(resolver.reverse(ip("169.254.1.2"), &mut buffer)).map(String::from);
    assert_eq!(found, Err(DnsError::NoData));
}
