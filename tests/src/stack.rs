//! The network stack in the test's own process, on a TAP inside a namespace: for what scripts cannot do.

use net_core::cidr::IpInet;
use net_core::stack::{self, Config, HeapResources, PoolSizes, Stack};
use port_linux::tap::{Tap, TapConfig};

use crate::device::Device;
use crate::namespace::Namespace;

/// Buffers as the goodput figures of others have them.
const SIZES: PoolSizes = PoolSizes { tcp: 16, udp: 16, tcp_buffer: 64 * 1024, udp_buffer: 64 * 1024 };

impl Namespace {
    /// Runs `work` on a stack with the addresses of [`Device::ETH`], in a thread inside this namespace, and returns
    /// when it has ended.
    ///
    /// # Panics
    /// When there can be no TAP here.
    pub fn on_stack<T: Send>(&self, work: impl AsyncFnOnce(Stack<'_>) -> T + Send) -> T {
        let net = |text: &str| text.parse::<IpInet>().expect("an address with a prefix length");
        let (IpInet::V4(v4), IpInet::V6(v6)) = (net("10.0.0.2/24"), net("fd00:10::2/64")) else {
            unreachable!("one of each version");
        };
        let host = vec![net("10.0.0.1/24"), net("fd00:10::1/64")];
        let config = Config::new().with_ipv4(v4, Device::HOST.parse().ok()).with_ipv6(v6, Device::HOST_V6.parse().ok());
        let run = async || {
            let tap = Tap::open(&TapConfig { name: Some("lunet0".into()), host, ..TapConfig::default() });
            let mut resources = HeapResources::growing(SIZES);
            let (stack, mut runner) =
                stack::new(tap.expect("a TAP"), config, &mut resources, 1).expect("valid addresses");
            tokio::select! {
                never = runner.run() => match never {},
                result = work(stack) => result,
            }
        };
        self.inside(|| port_linux::block_on(run()).expect("a runtime"))
    }
}
