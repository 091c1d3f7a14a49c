//! Hosts with embassy-net on an in-memory cable, in virtual time.
#![allow(dead_code, unreachable_pub)] // each test program uses its own part
#![allow(clippy::unwrap_used)] // clippy knows test functions, but not what they share

use std::future::Future;
use std::pin::Pin;

use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, ConfigV6, StackResources, StaticConfigV4, StaticConfigV6};
use embassy_time::{Duration, with_timeout};
use net_core::cable::Cable;
use net_core::embassy_net::{Config, EmbassyNet, Resources};

use super::common::Host;

/// No test has a use for more virtual time than this.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A host with embassy-net, with the addresses 10.0.0.`n` and fd00::`n`.
pub struct Device {
    pub net: EmbassyNet,
    pub stack: embassy_net::Stack<'static>,
    pub tasks: Vec<Task>,
}

pub fn static_embassy(n: u8) -> embassy_net::Config {
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

pub fn device<const TCP: usize, const UDP: usize>(cable: &Cable, n: u8) -> Device {
    device_with::<TCP, UDP>(cable, static_embassy(n), u64::from(n))
}

pub fn device_with<const TCP: usize, const UDP: usize>(
    cable: &Cable,
    config: embassy_net::Config,
    seed: u64,
) -> Device {
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
pub fn run_with<F: Future>(
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
