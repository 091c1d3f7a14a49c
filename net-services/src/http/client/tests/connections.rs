//! Connections: reused, lost, let go of; and where they lead (H-24).

use std::net::SocketAddr;

use net_core::Error;
use net_core::time::{Duration, Instant, Timer};

use super::super::testing::{Fate, Gone, NoSuchName};
use super::super::{ClientStats, Timeout};
use super::*;
use crate::http::Method;

fn stats(requests: u32, connections: u32, reused: u32, repeated: u32) -> ClientStats {
    ClientStats { requests, connections, reused, repeated, redirects: 0 }
}

#[test]
fn h24_a_connection_serves_many_requests_to_one_origin_and_none_to_another() {
    let net = Net::default();
    net.name("a", &["10.0.0.1"]);
    let servers = async {
        let mut first = net.accept().await;
        for _ in 0..3 {
            answer(&mut first, &ok("x")).await;
        }
        assert_eq!(first.gone().await, Gone::Closed);
        let mut second = net.accept().await;
        answer(&mut second, &ok("x")).await;
        assert_eq!(second.gone().await, Gone::Closed);
        let mut third = net.accept().await;
        answer(&mut third, &ok("x")).await;
        pending::<()>().await;
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        for url in ["http://a/1", "http://A:80/2", "http://a/3", "http://a:81/", "http://10.0.0.1:81/"] {
            assert_eq!(whole(client.get(url).await).await, Ok((200, "x".into())));
        }
        assert_eq!(client.stats(), stats(5, 3, 2, 0));
    });
}

#[test]
fn h24_a_kept_connection_that_the_server_has_closed_or_spoken_on_is_not_used() {
    for spoil in [
        |end: &mut ServerEnd| end.finish(),
        |end: &mut ServerEnd| end.reset(),
        |end: &mut ServerEnd| end.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &ok("1")).await;
            Timer::after(Duration::from_millis(500)).await;
            spoil(&mut first);
            let mut second = net.accept().await;
            answer(&mut second, &ok("2")).await;
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "1".into())));
            Timer::after(Duration::from_secs(1)).await;
            // A body that can be sent only once is as safe.
            let request = client.request(Method::Post, HOST).unwrap();
            assert_eq!(whole(request.send_from(&mut &b"x"[..], None).await).await, Ok((200, "2".into())));
            assert_eq!(client.stats(), stats(2, 2, 0, 0));
        });
    }
}

/// How a server ends a connection when it has received a request.
type End = fn(&mut ServerEnd);
const ENDS: [End; 2] = [|end| end.finish(), |end| end.reset()];

#[test]
fn h24_a_kept_connection_lost_without_an_answer_costs_one_more_request() {
    for (end, method) in ENDS.into_iter().flat_map(|end| [(end, Method::Get), (end, Method::Post)]) {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &ok("1")).await;
            first.head().await;
            end(&mut first);
            let mut second = net.accept().await;
            second.head().await;
            assert_eq!(second.bytes(4).await, b"body");
            second.send(ok("2"));
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "1".into())));
            let request = client.request(method, HOST).unwrap().body(b"body");
            assert_eq!(whole(request.send().await).await, Ok((200, "2".into())));
            assert_eq!(client.stats(), stats(3, 2, 1, 1));
        });
    }
}

#[test]
fn h24_a_request_is_not_sent_a_third_time() {
    for end in ENDS {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &ok("1")).await;
            first.head().await;
            end(&mut first);
            let mut second = net.accept().await;
            second.head().await;
            end(&mut second);
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "1".into())));
            assert_eq!(whole(client.get(HOST).await).await, Err(ClientError::Io(Error::Reset)));
            assert_eq!(client.stats(), stats(3, 2, 1, 1));
        });
    }
}

#[test]
fn h24_what_may_have_been_done_already_is_not_sent_again() {
    // On a new connection; after a byte of an answer; a body that has been read from its stream.
    let lost = Err(ClientError::Io(Error::Reset));
    for end in ENDS {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            first.head().await;
            end(&mut first);
            let mut second = net.accept().await;
            answer(&mut second, &ok("1")).await;
            answer(&mut second, "H").await;
            Timer::after(Duration::from_secs(1)).await;
            end(&mut second);
            let mut third = net.accept().await;
            answer(&mut third, &ok("2")).await;
            third.head().await;
            end(&mut third);
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, lost);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "1".into())));
            assert_eq!(whole(client.get(HOST).await).await, lost);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "2".into())));
            let request = client.request(Method::Put, HOST).unwrap();
            assert_eq!(whole(request.send_from(&mut &b"x"[..], Some(1)).await).await, lost);
            assert_eq!(client.stats(), stats(5, 3, 2, 0));
        });
    }
}

#[test]
fn h24_an_idle_connection_is_used_for_as_long_as_configured() {
    let mut config = ClientConfig::new();
    config.keep_alive = Duration::from_secs(5);
    for (pause, connections) in [(4, 1), (6, 2)] {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &ok("x")).await;
            let mut last = if connections == 1 { first } else { net.accept().await };
            answer(&mut last, &ok("x")).await;
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &config);
            whole(client.get(HOST).await).await.unwrap();
            Timer::after(Duration::from_secs(pause)).await;
            whole(client.get(HOST).await).await.unwrap();
            assert_eq!(client.stats().connections, connections);
        });
    }
}

#[test]
fn h24_without_keep_alive_each_request_says_so_and_has_its_own_connection() {
    let mut config = ClientConfig::new();
    config.keep_alive = Duration::from_ticks(0);
    let net = Net::default();
    let servers = async {
        for _ in 0..2 {
            // This server does not do what it is told.
            let mut end = net.accept().await;
            let head = answer(&mut end, &ok("x")).await;
            assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
            assert_eq!(end.gone().await, Gone::Closed);
        }
    };
    run(servers, async {
        let mut client = client(&net, &config);
        whole(client.get(HOST).await).await.unwrap();
        whole(client.get(HOST).await).await.unwrap();
        assert_eq!(client.stats(), stats(2, 2, 0, 0));
    });
}

#[test]
fn h24_who_gives_up_half_way_resets_the_connection() {
    let net = Net::default();
    let servers = async {
        // The request was not waited for, the response not read on, the response wrong.
        let mut end = net.accept().await;
        end.head().await;
        assert_eq!(end.gone().await, Gone::Reset);
        let mut end = net.accept().await;
        answer(&mut end, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe").await;
        assert_eq!(end.gone().await, Gone::Reset);
        let mut end = net.accept().await;
        answer(&mut end, "nonsense").await;
        assert_eq!(end.gone().await, Gone::Reset);
        // Read to the end and kept, then closed.
        let mut end = net.accept().await;
        answer(&mut end, &ok("x")).await;
        Timer::after(Duration::from_secs(1)).await;
        assert_eq!(end.client(), Gone::No);
        assert_eq!(end.gone().await, Gone::Closed);
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        let second = Duration::from_secs(1);
        assert!(net_core::time::with_timeout(second, client.get(HOST)).await.is_err());
        client.get(HOST).await.unwrap().fill_buf().await.unwrap();
        whole(client.get(HOST).await).await.unwrap_err();
        // The length is known, so the end need not be looked for.
        let mut response = client.get(HOST).await.unwrap();
        assert_eq!(response.read(&mut [0; 1]).await, Ok(1));
        Timer::after(second * 2).await;
        client.close();
        Timer::after(second).await;
        assert_eq!(client.stats(), stats(4, 4, 0, 0));
    });
}

#[test]
fn h24_names_are_resolved_and_addresses_are_not() {
    for (url, asked, connected) in [
        ("http://a/", &["a"][..], "10.0.0.1:80"),
        ("http://A.:8080/", &["a."], "10.0.0.3:8080"),
        ("http://10.0.0.2/", &[], "10.0.0.2:80"),
        ("http://[FD00::2]:81/", &[], "[fd00::2]:81"),
    ] {
        let net = Net::default();
        net.name("a", &["10.0.0.1", "fd00::1"]);
        net.name("a.", &["10.0.0.3"]);
        let servers = async {
            answer(&mut net.accept().await, &ok("")).await;
            pending::<()>().await;
        };
        run(servers, async { whole(client(&net, &CONFIG).get(url).await).await.unwrap() });
        assert_eq!(*net.questions.borrow(), asked, "{url}");
        assert_eq!(*net.attempts.borrow(), [connected.parse::<SocketAddr>().unwrap()], "{url}");
    }
}

#[test]
fn h24_a_name_that_is_not_resolved() {
    let net = Net::default();
    run(pending(), async {
        let mut client = client(&net, &CONFIG);
        assert_eq!(whole(client.get("http://b/").await).await, Err(ClientError::Dns));
        assert_eq!(client.dns_error(), Some(&NoSuchName));
        assert_eq!(whole(client.get("http://10.0.0.1/").await).await, Err(ClientError::TimedOut(Timeout::Idle)));
        assert_eq!(client.dns_error(), None);
    });
}

#[test]
fn h24_the_address_of_the_other_version_is_tried_when_the_first_fails() {
    for addresses in [["10.0.0.1", "fd00::1"], ["fd00::1", "10.0.0.1"]] {
        for (fate, after) in [(Fate::Fails(Error::Refused), 0), (Fate::Fails(Error::TimedOut), 0), (Fate::Silence, 10)]
        {
            let net = Net::default();
            net.name("a", &addresses);
            net.fate(addresses[0], fate);
            let servers = async {
                answer(&mut net.accept().await, &ok("x")).await;
                pending::<()>().await;
            };
            run(servers, async {
                let began = Instant::now();
                assert_eq!(whole(client(&net, &CONFIG).get("http://a/").await).await, Ok((200, "x".into())));
                assert_eq!(began.elapsed().as_secs(), after);
            });
            let tried: Vec<_> = net.attempts.borrow().iter().map(|address| std::format!("{}", address.ip())).collect();
            assert_eq!(tried, addresses);
        }
    }
}

#[test]
fn h24_no_address_answers() {
    let fetch = |addresses: &[(&str, Fate)]| {
        let net = Net::default();
        net.name("a", &addresses.iter().map(|(address, _)| *address).collect::<Vec<_>>());
        addresses.iter().for_each(|(address, fate)| net.fate(address, *fate));
        run(pending(), async { whole(client(&net, &CONFIG).get("http://a/").await).await }).unwrap_err()
    };
    let (refused, unreachable) = (Fate::Fails(Error::Refused), Fate::Fails(Error::Unreachable));
    // That there is no second one does not hide why the first one failed.
    assert_eq!(fetch(&[("10.0.0.1", refused)]), ClientError::Connect(Error::Refused));
    assert_eq!(fetch(&[("10.0.0.1", refused), ("fd00::1", unreachable)]), ClientError::Connect(Error::Unreachable));
    assert_eq!(fetch(&[("fd00::1", Fate::Silence)]), ClientError::TimedOut(Timeout::Connect));
    assert_eq!(fetch(&[("fd00::1", Fate::Fails(Error::TimedOut))]), ClientError::TimedOut(Timeout::Connect));
}

#[test]
fn h24_a_socket_is_waited_for_but_not_for_long() {
    let net = Net::default();
    let began = Instant::now();
    net.fate("10.0.0.1", Fate::Fails(Error::NoFreeSocket));
    let got = run(pending(), async { whole(client(&net, &CONFIG).get(HOST).await).await });
    assert_eq!((got, began.elapsed().as_secs()), (Err(ClientError::Connect(Error::NoFreeSocket)), 2));
}

#[test]
fn h24_https_says_that_it_is_not_there() {
    let net = Net::default();
    let got = run(pending(), async { whole(client(&net, &CONFIG).get("https://10.0.0.1/").await).await });
    assert_eq!(got, Err(ClientError::Unsupported("https, as long as there is no TLS")));
    assert!(net.attempts.borrow().is_empty());
}
