//! `net.dns`, and the method `dns` of sockets.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use core::net::{IpAddr, Ipv4Addr};

use mlua::{AnyUserData, Function, Lua, Table, Value};

use super::{Net, handlers};
use crate::binding::{Args, Binder, Outcome, with};
use crate::engine::{Call, Kind};
use crate::limits;

pub(super) fn module(lua: &Lua, binder: &Binder, net: &Rc<Net>) -> mlua::Result<Table> {
    let module = binder.module(lua)?;
    module
        .function("getdnsserver", with(net, get_server))?
        .function("setdnsserver", with(net, set_server))?
        .function("resolve", with(net, resolve))?;
    Ok(module.finish())
}

/// The slot that argument `index` names, 0 unless given.
fn slot(args: &Args<'_>, index: usize) -> Outcome<usize> {
    let slot = if args.is_nil(index) { 0 } else { args.integer(index)? };
    let last = limits::DNS_SLOTS - 1;
    match usize::try_from(slot) {
        Ok(slot) if slot <= last => Ok(slot),
        _ => Err(format!("server index out of range [0-{last}]").into()),
    }
}

/// `net.dns.getdnsserver([index])`: the address, or nil.
fn get_server(net: &Rc<Net>, args: &Args<'_>) -> Outcome<Option<alloc::string::String>> {
    let slot = slot(args, 1)?;
    let server = net.default_adapter().and_then(|adapter| adapter.dns_server(slot));
    Ok(server.map(|server| server.to_string()))
}

/// `net.dns.setdnsserver(ip [, index])`: for all networks.
fn set_server(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let server: IpAddr = args.string(1)?.to_string_lossy().parse().map_err(|_| "invalid dns server ip")?;
    if server.is_unspecified() || server == IpAddr::V4(Ipv4Addr::BROADCAST) || server.is_multicast() {
        return Err("invalid dns server ip".into());
    }
    let slot = slot(args, 2)?;
    for (_, adapter) in net.adapters() {
        adapter.set_dns_server(slot, server);
    }
    Ok(())
}

/// `net.dns.resolve(host, function(nil, ip | nil))`
fn resolve(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let host = args.string(1)?.to_string_lossy();
    let callback = args.function(2)?;
    let lookup = net.lookup(&host)?;
    let engine = net.engine.clone();
    net.engine.spawn(Kind::Waits, async move {
        let found = first(&lookup.await);
        engine.post(move |lua| Call::new(lua, callback, (Value::Nil, found)).map(Some));
    });
    Ok(())
}

/// `socket:dns(domain [, function(socket, ip | nil)])`: the object lives until the answer has come, whatever becomes of
/// its connection.
pub(super) fn of_object(net: &Rc<Net>, args: &Args<'_>, object: AnyUserData) -> Outcome<()> {
    let domain = args.string(2)?.to_string_lossy();
    if let Some(handler) = args.optional_function(3)? {
        handlers::set(&object, "dns", Some(handler))?;
    } else if handlers::get(&object, "dns")?.is_none() {
        return Err("no callback specified".into());
    }
    let lookup = net.lookup(&domain)?;
    let engine = net.engine.clone();
    net.engine.spawn(Kind::Waits, async move {
        let found = first(&lookup.await);
        engine.post(move |lua| {
            let handler: Option<Function> = handlers::get(&object, "dns")?;
            handler.map(|handler| Call::new(lua, handler, (object, found))).transpose()
        });
    });
    Ok(())
}

fn first(addresses: &[IpAddr]) -> Option<alloc::string::String> {
    addresses.first().map(ToString::to_string)
}
