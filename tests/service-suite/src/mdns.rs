//! mDNS between two devices on one link.

use std::future::Future;
use std::net::IpAddr;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, with_timeout};
use net_core::Error;
use net_core::dns::{Family, Resolver};
use net_core::nal::{Interface, Multicast, TcpConnect, UdpBind, UdpStack};
use net_services::mdns::{Config, Event, Found, FoundType, Mdns, MdnsError, Resources, Service};

/// What a network must have.
pub trait Link: Clone + UdpBind + Multicast + Interface + UdpStack<Error = Error> + TcpConnect<Error = Error> {}
impl<T: Clone + UdpBind + Multicast + Interface + UdpStack<Error = Error> + TcpConnect<Error = Error>> Link for T {}

/// Long enough for whatever is to happen, also with loss.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOKUP: Duration = Duration::from_secs(20);

/// All of it, one after the other.
pub async fn all<A: Link, B: Link>(one: &A, two: &B) {
    println!("found_and_gone");
    found_and_gone(one, two).await;
    println!("one_of_two_gives_way");
    one_of_two_gives_way(one, two).await;
    println!("by_the_resolver");
    by_the_resolver(one, two).await;
    println!("stopped_and_started");
    stopped_and_started(one, two).await;
}

fn service(instance: &'static str) -> Service<'static> {
    Service { instance, kind: "_http._tcp", port: 80, txt: &["path=/"], subtypes: &["_lamp"], ..Service::default() }
}

async fn within<F: Future>(future: F) -> F::Output {
    with_timeout(PATIENCE, future).await.expect("it happens in time")
}

/// Runs `test` while the services run on their networks; stops them afterwards.
async fn beside<T>(ones: (&Mdns<'_>, &impl Link), twos: (&Mdns<'_>, &impl Link), test: impl Future<Output = T>) -> T {
    let (mut buffer_one, mut buffer_two) = ([0; 1472], [0; 1472]);
    let running = async {
        let (one, two) = join(ones.0.run(ones.1, &mut buffer_one), twos.0.run(twos.1, &mut buffer_two)).await;
        assert_eq!((one, two), (Ok(()), Ok(())));
    };
    let mut running = Box::pin(running);
    let result = match select(running.as_mut(), Box::pin(test)).await {
        Either::First(()) => panic!("a service has ended by itself"),
        Either::Second(result) => result,
    };
    ones.0.stop();
    twos.0.stop();
    within(running).await;
    result
}

async fn established(mdns: &Mdns<'_>, event: Event) {
    while within(mdns.event()).await != event {}
}

/// Browsing, changes, looking up by name and by address, and goodbyes.
async fn found_and_gone(one: &impl Link, two: &impl Link) {
    let (mut memory_one, mut memory_two) = (Resources::<3, 4, 32>::new(), Resources::<3, 8, 32>::new());
    let publisher = Mdns::new(Config::new(), &mut memory_one, 1);
    let finder = Mdns::new(Config::new(), &mut memory_two, 2);
    publisher.set_host_name("lamp").unwrap();
    let id = publisher.publish(&service("Lamp on the desk")).unwrap();
    let addresses: Vec<IpAddr> = one.status().addresses.iter().map(|net| net.address()).collect();
    beside((&publisher, one), (&finder, two), async {
        let mut buffer = [0; 512];
        let mut browse = finder.browse::<4>("_http._tcp").unwrap();
        let mut types = finder.browse_types::<4>().unwrap();
        let mut lamps = finder.browse::<4>("_lamp._sub._http._tcp").unwrap();
        // Addresses may come after the rest, as a change.
        loop {
            match within(browse.next(&mut buffer)).await.unwrap() {
                Found::Added(found) | Found::Changed(found) => {
                    assert_eq!((found.name, found.host, found.port), ("Lamp on the desk", "lamp.local", 80));
                    assert!(found.txt.get_str("path").is_none_or(|path| path == "/"));
                    if found.txt.get_str("path").is_some() && addresses.iter().all(|a| found.addresses.contains(a)) {
                        break;
                    }
                }
                removed @ Found::Removed(_) => panic!("{removed:?}"),
            }
        }
        assert_eq!(within(types.next()).await, FoundType::Added("_http._tcp".try_into().unwrap()));
        assert!(matches!(within(lamps.next(&mut buffer)).await.unwrap(), Found::Added(_)));

        publisher.set_txt(id, &["path=/new", "lit"]).unwrap();
        loop {
            let Found::Changed(found) = within(browse.next(&mut buffer)).await.unwrap() else { panic!("not changed") };
            if found.txt.get("lit") == Some(None) && found.txt.get_str("path") == Some("/new") {
                break;
            }
        }

        let found = finder.lookup("LAMP.local", Family::Both, LOOKUP).await.unwrap();
        assert!(addresses.iter().all(|address| found.contains(address)), "{found:?} {addresses:?}");
        for address in &addresses {
            assert_eq!(finder.reverse(*address, LOOKUP, &mut [0; 255]).await, Ok("lamp.local"), "M-42");
        }
        let resolved = finder.resolve("Lamp on the desk", "_http._tcp", LOOKUP, &mut buffer).await.unwrap();
        assert_eq!((resolved.host, resolved.port), ("lamp.local", 80));
        let itself = publisher.lookup("lamp", Family::Both, LOOKUP).await.unwrap();
        assert!(addresses.iter().all(|address| itself.contains(address)), "a device finds itself");
        let nobody = finder.lookup("nobody", Family::V4, Duration::from_secs(3)).await;
        assert_eq!(nobody, Err(MdnsError::TimedOut));

        publisher.withdraw(id).unwrap();
        let removed = loop {
            match within(browse.next(&mut buffer)).await.unwrap() {
                Found::Removed(name) => break name,
                Found::Added(_) | Found::Changed(_) => {}
            }
        };
        assert_eq!(removed, "Lamp on the desk", "M-12");
        assert_eq!(publisher.service_name(id), None);
    })
    .await;
}

/// Two devices of one name, and with services of one name: exactly one of them renames each.
async fn one_of_two_gives_way(one: &impl Link, two: &impl Link) {
    let (mut memory_one, mut memory_two) = (Resources::<1, 1, 8>::new(), Resources::<1, 1, 8>::new());
    let (a, b) = (Mdns::new(Config::new(), &mut memory_one, 3), Mdns::new(Config::new(), &mut memory_two, 4));
    let mut ids = Vec::new();
    for mdns in [&a, &b] {
        mdns.set_host_name("lamp").unwrap();
        ids.push(mdns.publish(&service("")).unwrap());
    }
    beside((&a, one), (&b, two), async {
        established(&a, Event::ServiceEstablished(ids[0])).await;
        established(&b, Event::ServiceEstablished(ids[1])).await;
        // Whoever was first, the other may still be found out.
        embassy_time::Timer::after(Duration::from_secs(10)).await;
        let mut names = [a.host_name(), b.host_name()];
        names.sort();
        assert_eq!(names, ["lamp", "lamp-2"], "M-9");
        let mut names = [a.service_name(ids[0]).unwrap(), b.service_name(ids[1]).unwrap()];
        names.sort();
        assert_eq!(names, ["lamp", "lamp (2)"], "M-9");
    })
    .await;
}

/// The resolver finds names below `.local`: by a service of its own, and without one by itself.
async fn by_the_resolver(one: &impl Link, two: &impl Link) {
    let (mut memory_one, mut memory_two) = (Resources::<1, 1, 8>::new(), Resources::<1, 4, 8>::new());
    let (lamp, finder) = (Mdns::new(Config::new(), &mut memory_one, 5), Mdns::new(Config::new(), &mut memory_two, 6));
    lamp.set_host_name("lamp").unwrap();
    let resolver: Resolver<'_, _> = Resolver::new(two.clone(), 7);
    resolver.set_local_names(Some(&finder));
    let v4 = one.status().ipv4().unwrap();
    beside((&lamp, one), (&finder, two), async {
        established(&lamp, Event::HostEstablished).await;
        assert_eq!(within(resolver.lookup("lamp.local", Family::V4)).await.unwrap(), [IpAddr::V4(v4)]);
        assert_eq!(resolver.stats().mdns_queries, 0, "the service has asked, or has known");
        resolver.set_local_names(None);
        assert_eq!(within(resolver.lookup("lamp.local", Family::V4)).await.unwrap(), [IpAddr::V4(v4)]);
        assert!(resolver.stats().mdns_queries > 0, "the resolver has asked by itself");
    })
    .await;
}

/// A service that was stopped says goodbye, and publishes all again when it runs again.
async fn stopped_and_started(one: &impl Link, two: &impl Link) {
    let (mut memory_one, mut memory_two) = (Resources::<1, 1, 8>::new(), Resources::<1, 4, 8>::new());
    let (lamp, finder) = (Mdns::new(Config::new(), &mut memory_one, 8), Mdns::new(Config::new(), &mut memory_two, 9));
    lamp.set_host_name("lamp").unwrap();
    lamp.publish(&service("Lamp")).unwrap();
    assert!(!lamp.is_running());
    let (mut buffer, mut packet_one, mut packet_two) = ([0; 512], [0; 1472], [0; 1472]);
    let finding = finder.run(two, &mut packet_two);
    let test = async {
        let mut browse = finder.browse::<4>("_http._tcp").unwrap();
        for _ in 0..2 {
            let seen = async {
                while !matches!(within(browse.next(&mut buffer)).await.unwrap(), Found::Added(_)) {}
                assert!(lamp.is_running());
                lamp.stop();
            };
            let (ended, ()) = join(lamp.run(one, &mut packet_one), seen).await;
            assert_eq!(ended, Ok(()));
            while !matches!(within(browse.next(&mut buffer)).await.unwrap(), Found::Removed("Lamp")) {}
        }
        finder.stop();
    };
    let (ended, ()) = join(Box::pin(finding), Box::pin(test)).await;
    assert_eq!(ended, Ok(()));
}
