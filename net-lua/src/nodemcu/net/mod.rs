//! The module `net`, as the newest NodeMCU document describes it.
//! What it does where that document, its firmware and the older ones disagree is in the crate's front page.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};

use mlua::{AnyUserData, IntoLua, Lua, Table, Value};

use crate::adapter::Family;
use crate::binding::{Args, Binder, Outcome, Raise, with};
use crate::engine::Engine;
use crate::limits;

mod codes;
mod connection;
mod dns;
mod handlers;
mod interfaces;
mod outgoing;
mod server;
mod socket;
mod udpport;
mod udpsocket;

/// `net.TCP` and `net.UDP`. Scripts treat them as opaque.
const TCP: i64 = 1;
const UDP: i64 = 2;

/// Where the module's table is kept: functions read `net.profile` from it.
const TABLE: &str = "lunet.net";

/// What all functions of the module share.
struct Net {
    engine: Rc<Engine>,
    /// Lookups under way.
    lookups: Cell<usize>,
}

pub(crate) fn open(lua: &Lua, binder: &Binder, engine: &Rc<Engine>) -> mlua::Result<()> {
    let net = Rc::new(Net { engine: engine.clone(), lookups: Cell::new(0) });
    socket::open(lua, binder, &net)?;
    server::open(lua, binder, &net)?;
    udpsocket::open(lua, binder, &net)?;

    let module = binder.module(lua)?;
    module
        .value("TCP", TCP)?
        .value("UDP", UDP)?
        .value("profile", "gen3")?
        .value("dns", dns::module(lua, binder, &net)?)?
        .function("createConnection", create_connection)?
        .function("createServer", create_server)?
        .function("createUDPSocket", |args| Ok(udpsocket::create(args.lua)?))?
        .function("multicastJoin", with(&net, |net, args| interfaces::membership(net, args, true)))?
        .function("multicastLeave", with(&net, |net, args| interfaces::membership(net, args, false)))?
        .function("ifinfo", with(&net, interfaces::info))?;
    let module = module.finish();
    lua.set_named_registry_value(TABLE, &module)?;
    lua.globals().raw_set("net", module)
}

/// Whether the script wants the ways of the older generations.
fn is_gen2(lua: &Lua) -> bool {
    let profile = lua.named_registry_value::<Table>(TABLE).and_then(|table| table.raw_get::<Value>("profile"));
    profile.is_ok_and(|profile| profile.as_string().is_some_and(|profile| profile.as_bytes() == *b"gen2"))
}

/// `net.createConnection([type [, secure]])`
fn create_connection(args: &Args<'_>) -> Outcome<AnyUserData> {
    let kind = if args.is_nil(1) { TCP } else { args.integer(1)? };
    let secure = match args.get(2) {
        Value::Boolean(secure) => *secure,
        Value::Nil => false,
        _ => args.integer(2)? != 0,
    };
    match kind {
        TCP if secure => Err("secure connections not enabled".into()),
        TCP => Ok(socket::create(args.lua)?),
        UDP => Ok(udpsocket::create(args.lua)?),
        _ => Err("invalid type".into()),
    }
}

/// `net.createServer([type [, timeout]])`, and `net.createServer(timeout)` of the next generation.
fn create_server(args: &Args<'_>) -> Outcome<AnyUserData> {
    /// Seconds.
    const TIMEOUTS: core::ops::RangeInclusive<i64> = 1..=28_800;
    const DEFAULT_TIMEOUT: i64 = 30;

    let first = if args.is_nil(1) { TCP } else { args.integer(1)? };
    let timeout = match first {
        UDP => return Ok(udpsocket::create(args.lua)?),
        TCP if args.is_nil(2) => DEFAULT_TIMEOUT,
        TCP => args.integer(2)?,
        timeout => timeout,
    };
    if !TIMEOUTS.contains(&timeout) {
        return Err("wrong arg type".into());
    }
    Ok(server::create(args.lua, timeout.unsigned_abs())?)
}

impl Net {
    /// The addresses of a name, IPv4 ones first, or of an address written out; none when there is no such name.
    ///
    /// # Errors
    /// What cannot be a name raises `illegal argument`, too many lookups at once `out of memory`.
    fn lookup(self: &Rc<Self>, host: &str) -> Outcome<impl Future<Output = Vec<IpAddr>> + 'static> {
        let literal = host.parse::<IpAddr>().ok();
        if host.is_empty() || host.len() > limits::NAME {
            return Err("illegal argument".into());
        }
        if literal.is_none() && self.lookups.get() >= limits::LOOKUPS {
            return Err("out of memory".into());
        }
        let (net, host) = (self.clone(), String::from(host));
        // Counted from now on, also if the future is dropped before its first poll.
        let counted = literal.is_none().then(|| Counted::new(net.clone()));
        Ok(async move {
            let _counted = counted;
            if let Some(literal) = literal {
                return Vec::from([literal]);
            }
            let Some(adapter) = net.default_adapter() else { return Vec::new() };
            // IPv4 ones come first.
            adapter.lookup(&host, Family::Both).await.unwrap_or_default().into_iter().collect()
        })
    }
}

/// Holds a place among the lookups that may be under way at once.
struct Counted(Rc<Net>);

impl Counted {
    fn new(net: Rc<Net>) -> Self {
        net.lookups.set(net.lookups.get() + 1);
        Self(net)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lookups.set(self.0.lookups.get() - 1);
    }
}

/// A port, 0 to 65,535.
fn port(args: &Args<'_>, index: usize) -> Outcome<u16> {
    u16::try_from(args.integer(index)?).map_err(|_| args.bad(index, "port out of range"))
}

/// An address written out.
fn ip(args: &Args<'_>, index: usize) -> Outcome<IpAddr> {
    args.string(index)?.to_string_lossy().parse().map_err(|_| Raise::from("invalid IP address"))
}

/// The optional port and address of both kinds of `listen`, and where the argument after them is.
fn listen_address(args: &Args<'_>) -> Outcome<(SocketAddr, usize)> {
    let mut address = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut index = 2;
    let is_number = args.lua.coerce_number(args.get(index).clone())?.is_some();
    match args.get(index) {
        _ if is_number => address.set_port(port(args, index)?),
        Value::Nil | Value::String(_) | Value::Function(_) => {}
        _ => return Err(args.expected(index, "number")),
    }
    index += usize::from(is_number || args.is_nil(index));
    match args.get(index) {
        Value::String(_) => address.set_ip(ip(args, index)?),
        Value::Nil => {}
        Value::Function(_) => return Ok((address, index)),
        _ => return Err(args.expected(index, "string")),
    }
    Ok((address, index + 1))
}

/// `port, ip` as scripts see them, or two nils; with `ip_first` the other way round.
fn address_values(lua: &Lua, address: Option<SocketAddr>, ip_first: bool) -> mlua::Result<(Value, Value)> {
    let Some(address) = address else { return Ok((Value::Nil, Value::Nil)) };
    let port = Value::Integer(address.port().into());
    let ip = address.ip().to_string().into_lua(lua)?;
    Ok(if ip_first { (ip, port) } else { (port, ip) })
}

/// `ttl([ttl])`: the value to set, or none to tell the current one.
fn hop_limit(args: &Args<'_>) -> Outcome<Option<u8>> {
    if args.is_nil(2) || args.get(2).as_integer() == Some(-1) {
        return Ok(None);
    }
    let value = args.integer(2)?;
    match u8::try_from(value) {
        Ok(0) | Err(_) => Err(args.bad(2, &format!("ttl {value} is not within 1-255"))),
        Ok(hop_limit) => Ok(Some(hop_limit)),
    }
}
