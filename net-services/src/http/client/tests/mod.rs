//! The client over scripted servers, in virtual time.

mod bodies;
mod connections;
mod framing;
mod hostile;
mod redirects;
mod requests;
mod times;

use std::future::{Future, pending};
use std::string::String;
use std::vec::Vec;

use embassy_futures::select::{Either, select};

use super::testing::{Net, ServerEnd, Socket};
use super::{Client, ClientConfig, ClientError, ClientResponse};

const CONFIG: ClientConfig = ClientConfig::new();
/// The only server that most tests have.
const HOST: &str = "http://10.0.0.1/";

/// Runs the client against servers that may wait for ever when they have done their part.
fn run<T>(servers: impl Future<Output = ()>, client: impl Future<Output = T>) -> T {
    let servers = async {
        servers.await;
        pending::<()>().await;
    };
    match virtual_time::block_on(select(client, servers)) {
        Either::First(output) => output,
        Either::Second(()) => unreachable!(),
    }
}

/// A client with a buffer of 600 bytes.
fn client<'a>(net: &'a Net, config: &'a ClientConfig) -> Client<'a, Net, Net> {
    client_of(net, config, 600)
}

fn client_of<'a>(net: &'a Net, config: &'a ClientConfig, bytes: usize) -> Client<'a, Net, Net> {
    Client::new(net, net, config, std::vec![0; bytes].leak())
}

/// Status and content, as text.
async fn whole(response: Result<ClientResponse<'_, Socket>, ClientError>) -> Result<(u16, String), ClientError> {
    let mut response = response?;
    let content = response.read_to_vec().await?;
    Ok((response.status().code(), String::from_utf8(content).unwrap()))
}

/// Answers one request, and gives its head.
async fn answer(end: &mut ServerEnd, response: &str) -> String {
    let head = end.head().await;
    end.send(response);
    head
}

fn ok(content: &str) -> String {
    std::format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

/// Every way to cut `bytes` into two pieces, then all single bytes.
fn cuts(bytes: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let in_two = (0..=bytes.len()).map(|at| std::vec![bytes[..at].to_vec(), bytes[at..].to_vec()]);
    in_two.chain([bytes.iter().map(|byte| std::vec![*byte]).collect()])
}
