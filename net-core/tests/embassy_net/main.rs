//! The traits over embassy-net stacks: what they promise, and what the adapter's documentation says of the rest.
#![allow(clippy::large_futures)] // a test has more stack than a chip
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/mod.rs"]
mod common;
mod interface;
mod tcp;
mod udp;

use std::future::Future;
use std::pin::Pin;

use common::*;
use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, ConfigV6, StackResources, StaticConfigV4, StaticConfigV6};
use embassy_time::{Duration, with_timeout};
use nal_suite::Lack;
use net_core::cable::{Cable, Quality};
use net_core::embassy_net::{Config, EmbassyNet, Resources};

/// What embassy-net has no means for; the documentation of `net_core::embassy_net` says so.
const LACKS: [Lack; 2] = [Lack::LocalPort, Lack::PortUnreachable];

/// No test has a use for more virtual time than this.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A host with embassy-net, with the addresses 10.0.0.`n` and fd00::`n`.
struct Device {
    net: EmbassyNet,
    stack: embassy_net::Stack<'static>,
    tasks: Vec<Task>,
}

const SECOND: Duration = Duration::from_secs(1);

fn static_embassy(n: u8) -> embassy_net::Config {
    let mut config = embassy_net::Config::default();
    config.ipv4 = ConfigV4::Static(StaticConfigV4 {
        address: embassy_net::Ipv4Cidr::new([10, 0, 0, n].into(), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    config.ipv6 = ConfigV6::Static(StaticConfigV6 {
        address: embassy_net::Ipv6Cidr::new([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into(), 64),
        gateway: None,
        dns_servers: Default::default(),
    });
    config
}

fn device<const TCP: usize, const UDP: usize>(cable: &Cable, n: u8) -> Device {
    device_with::<TCP, UDP>(cable, static_embassy(n), u64::from(n))
}

fn device_with<const TCP: usize, const UDP: usize>(cable: &Cable, config: embassy_net::Config, seed: u64) -> Device {
    let resources = Box::leak(Box::new(StackResources::<24>::new()));
    let (stack, mut below) = embassy_net::new(cable.end(), config, resources, seed);
    let resources = Box::leak(Box::new(Resources::<TCP, UDP, 4096, 4096>::new()));
    let (net, mut runner) = net_core::embassy_net::new(stack, Config::new(), resources, seed);
    let below: Task = Box::pin(async move { below.run().await });
    let beside: Task = Box::pin(async move {
        runner.run().await;
    });
    Device { net, stack, tasks: vec![below, beside] }
}

/// Runs `test` while the devices and hosts run, each runner as a task of its own.
fn run_with<F: Future>(
    devices: impl IntoIterator<Item = Device>,
    hosts: impl IntoIterator<Item = Host>,
    test: F,
) -> F::Output {
    let mut tasks: Vec<Task> = devices.into_iter().flat_map(|device| device.tasks).collect();
    for mut host in hosts {
        tasks.push(Box::pin(async move {
            host.runner.run().await;
        }));
    }
    let all = virtual_time::join_all(tasks.into_iter().map(virtual_time::own_task).collect());
    virtual_time::block_on(async {
        match select(all, virtual_time::own_task(with_timeout(PATIENCE, test))).await {
            Either::First(_) => unreachable!("runners never end"),
            Either::Second(output) => output.unwrap(),
        }
    })
}

#[test]
fn the_traits_keep_their_promises_over_embassy_net() {
    for quality in [Quality::PERFECT, Quality { delay: Duration::from_millis(20), ..Quality::PERFECT }] {
        let cable = Cable::new(quality, 1);
        let (one, two) = (device::<8, 6>(&cable, 1), device::<8, 6>(&cable, 2));
        let (server, client) = (one.net, two.net);
        run_with([one, two], [], async {
            nal_suite::all_but(&server, &client, v4(1, 0).ip(), &LACKS).await;
            nal_suite::all_but(&server, &client, v6(1, 0).ip(), &LACKS).await;
        });
    }
}

#[test]
fn and_over_few_sockets() {
    let cable = Cable::new(Quality { delay: Duration::from_millis(5), ..Quality::PERFECT }, 1);
    let (one, two) = (device::<3, 3>(&cable, 1), device::<3, 3>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async { nal_suite::all_but(&server, &client, v4(1, 0).ip(), &LACKS).await });
}

#[test]
fn and_with_our_own_stack_at_the_other_end() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<8, 6>(&cable, 1), host(&cable, 2));
    let (ours, theirs) = (two.stack, one.net);
    run_with([one], [two], async {
        for (server, client) in [(v4(1, 0), v4(2, 0)), (v6(1, 0), v6(2, 0))] {
            nal_suite::all_but(&theirs, &ours, server.ip(), &[]).await;
            nal_suite::all_but(&ours, &theirs, client.ip(), &LACKS).await;
        }
    });
}
