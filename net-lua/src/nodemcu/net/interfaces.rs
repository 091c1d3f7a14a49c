//! Which network an operation is for, and what scripts can see and do of networks themselves.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use mlua::{Table, Value};

use super::Net;
use crate::adapter::Adapter;
use crate::binding::{Args, Outcome};
use crate::platform::{Level, Role};

impl Net {
    pub(super) fn adapters(&self) -> &[(Role, Rc<dyn Adapter>)] {
        self.engine.platform().adapters()
    }

    /// Where what goes to no particular address goes: the first network that leads on, else the first that works, else the
    /// first.
    pub(super) fn default_adapter(&self) -> Option<Rc<dyn Adapter>> {
        let adapters = || self.adapters().iter().map(|(_, adapter)| adapter);
        let leads_on = |adapter: &&Rc<dyn Adapter>| {
            let status = adapter.status();
            status.gateway_v4.is_some() || status.gateway_v6.is_some()
        };
        let found = adapters().find(leads_on).or_else(|| adapters().find(|adapter| adapter.status().is_configured()));
        found.or_else(|| adapters().next()).cloned()
    }

    /// The network that leads to `remote`: the one that `remote` is in, else the default one.
    pub(super) fn adapter_for(&self, remote: IpAddr) -> Option<Rc<dyn Adapter>> {
        let is_in = |adapter: &Rc<dyn Adapter>| {
            adapter.status().addresses.iter().any(|own| own.address() == remote || own.network().contains(&remote))
        };
        let direct = self.adapters().iter().map(|(_, adapter)| adapter).find(|adapter| is_in(adapter));
        direct.cloned().or_else(|| self.default_adapter())
    }

    /// The networks to listen on: all for an unspecified address, else the one that has it.
    pub(super) fn adapters_with(&self, local: IpAddr) -> Vec<Rc<dyn Adapter>> {
        let adapters = self.adapters().iter().map(|(_, adapter)| adapter);
        if local.is_unspecified() {
            return adapters.cloned().collect();
        }
        let has = |adapter: &&Rc<dyn Adapter>| adapter.status().addresses.iter().any(|own| own.address() == local);
        // With an address that nobody has, the default one says so.
        adapters.clone().find(has).cloned().or_else(|| self.default_adapter()).into_iter().collect()
    }
}

/// `net.multicastJoin(if_ip, multicast_ip)` and `net.multicastLeave`. As on the original, what the network makes of it
/// is not told to the script, but a failure is in the log.
pub(super) fn membership(net: &Rc<Net>, args: &Args<'_>, join: bool) -> Outcome<()> {
    let Value::String(interface) = args.get(1) else { return Err("wrong arg type".into()) };
    let Value::String(group) = args.get(2) else { return Err("wrong arg type".into()) };
    let interface = interface.to_string_lossy();
    let interface = match interface.as_str() {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        any if any.eq_ignore_ascii_case("any") => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        address => address.parse().map_err(|_| "invalid if ip")?,
    };
    let group: IpAddr = group.to_string_lossy().parse().map_err(|_| "invalid multicast ip")?;
    for (_, adapter) in net.adapters() {
        let has = interface.is_unspecified() || adapter.status().addresses.iter().any(|own| own.address() == interface);
        if !has {
            continue;
        }
        let result = if join { adapter.join_group(group) } else { adapter.leave_group(group) };
        if let Err(error) = result {
            let what = if join { "join" } else { "leave" };
            net.engine.platform().log(Level::Warn, &format!("net: cannot {what} {group}: {error}"));
        }
    }
    Ok(())
}

/// `net.ifinfo([index])`: what the interface is and which addresses it has; nil when there is none.
pub(super) fn info(net: &Rc<Net>, args: &Args<'_>) -> Outcome<Option<Table>> {
    let index = if args.is_nil(1) { 0 } else { args.integer(1)? };
    let found = usize::try_from(index).ok().and_then(|index| net.adapters().get(index));
    let Some((role, adapter)) = found else { return Ok(None) };
    let status = adapter.status();
    let table = args.lua.create_table()?;
    let name = match role {
        Role::Eth => "eth",
        Role::Sta => "sta",
        Role::Ap => "ap",
    };
    table.raw_set("name", name)?;
    let hardware: Option<Vec<String>> =
        status.hardware_address.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    table.raw_set("hwaddr", hardware.map(|bytes| bytes.join(":")))?;
    let own = status.addresses.iter().find(|own| own.address().is_ipv4());
    table.raw_set("ip", own.map(|own| own.address().to_string()))?;
    table.raw_set("netmask", own.map(|own| own.mask().to_string()))?;
    table.raw_set("gateway", status.gateway_v4.map(|gateway| gateway.to_string()))?;
    Ok(Some(table))
}
