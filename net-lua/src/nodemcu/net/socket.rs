//! `net.socket`: TCP connections.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::net::IpAddr;

use mlua::{AnyUserData, IntoLuaMulti, Lua, LuaString, MultiValue, Value};

use super::connection::{Connection, client};
use super::{Net, address_values, dns, handlers, hop_limit, is_gen2, port};
use crate::binding::{Args, Binder, Outcome, with};
use crate::engine::{Call, Kind};

const EVENTS: [&str; 6] = ["connection", "reconnection", "disconnection", "receive", "sent", "dns"];

/// What a `net.socket` is in Rust: at most one connection at a time.
#[derive(Default)]
pub(super) struct Socket {
    connection: RefCell<Option<Rc<Connection>>>,
    /// Whether there is a `receive` handler.
    receiving: Cell<bool>,
}

pub(super) type Handle = Rc<Socket>;

pub(super) fn open(lua: &Lua, binder: &Binder, net: &Rc<Net>) -> mlua::Result<()> {
    let class = binder.module(lua)?;
    class
        .function("connect", with(net, connect))?
        .function("close", with(net, close))?
        .function("on", with(net, on))?
        .function("send", send)?
        .function("hold", hold)?
        .function("unhold", with(net, unhold))?
        .function("dns", with(net, |net, args| dns::of_object(net, args, args.this::<Handle>()?.0)))?
        .function("ttl", ttl)?
        .function("getpeer", get_peer)?
        .function("getaddr", get_addr)?;
    class.finish_class::<Handle>("net.socket")
}

/// A socket that is not connected.
pub(super) fn create(lua: &Lua) -> mlua::Result<AnyUserData> {
    handlers::object(lua, Handle::default())
}

/// A socket with a connection that a server has accepted.
pub(super) fn adopt(object: &AnyUserData, connection: Rc<Connection>) -> mlua::Result<()> {
    let socket = object.borrow::<Handle>()?;
    *socket.connection.borrow_mut() = Some(connection);
    Ok(())
}

/// The connection has ended: the object is free for another.
pub(super) fn released(object: &AnyUserData) -> mlua::Result<()> {
    object.borrow::<Handle>()?.connection.take();
    Ok(())
}

impl Socket {
    fn current(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }
}

/// `socket:connect(port [, ip | domain [, function]])`
fn connect(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, socket) = args.this::<Handle>()?;
    if socket.current().is_some() {
        return Err("already connected".into());
    }
    let port = port(args, 2)?;
    if port == 0 {
        return Err("specify port".into());
    }
    let host = match args.get(3) {
        Value::String(host) => host.to_string_lossy(),
        _ => "127.0.0.1".into(),
    };
    match args.get(4) {
        Value::Nil => {}
        Value::Function(handler) => handlers::set(&object, "connection", Some(handler.clone()))?,
        _ => return Err(args.bad(4, "not a function")),
    }
    let lookup = net.lookup(&host)?;
    let by_name = host.parse::<IpAddr>().is_err();
    let connection = Connection::outbound(object, socket.receiving.get(), by_name);
    *socket.connection.borrow_mut() = Some(connection.clone());
    net.engine.spawn(Kind::Closes, client(net.clone(), connection, lookup, port));
    Ok(())
}

/// `socket:close()`
fn close(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, socket) = args.this::<Handle>()?;
    let Some(connection) = socket.connection.take() else { return Ok(()) };
    connection.close();
    if is_gen2(args.lua) {
        net.engine.post(move |lua| {
            let handler = handlers::get(&object, "disconnection")?;
            handler.map(|handler| Call::new(lua, handler, (object, 0))).transpose()
        });
    }
    Ok(())
}

/// `socket:on(event, function | nil)`
fn on(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, socket) = args.this::<Handle>()?;
    if handlers::on(args, &object, &EVENTS)? == "receive" {
        socket.receiving.set(!args.is_nil(3));
        if let Some(connection) = socket.current() {
            connection.set_receiving(net, socket.receiving.get());
        }
    }
    Ok(())
}

/// The data of a `send`: a string or a number that is not empty.
pub(super) fn data(args: &Args<'_>, index: usize) -> Outcome<LuaString> {
    if args.is_nil(index) {
        return Err("no data to send".into());
    }
    let data = args.string(index)?;
    if data.as_bytes().is_empty() {
        return Err("no data to send".into());
    }
    Ok(data)
}

/// `socket:send(data [, function])`
fn send(args: &Args<'_>) -> Outcome<()> {
    let (object, socket) = args.this::<Handle>()?;
    let data = data(args, 2)?;
    let handler = args.optional_function(3)?;
    if is_gen2(args.lua) && data.as_bytes().len() > crate::limits::CHUNK {
        return Err("need <1460 payload".into());
    }
    socket.current().ok_or("not connected")?.send(&data.as_bytes())?;
    if handler.is_some() {
        handlers::set(&object, "sent", handler)?;
    }
    Ok(())
}

/// `socket:hold()`
fn hold(args: &Args<'_>) -> Outcome<()> {
    let (_, socket) = args.this::<Handle>()?;
    if let Some(connection) = socket.current() {
        connection.hold();
    }
    Ok(())
}

/// `socket:unhold()`
fn unhold(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (_, socket) = args.this::<Handle>()?;
    if let Some(connection) = socket.current() {
        connection.unhold(net);
    }
    Ok(())
}

/// `socket:ttl([ttl])`
fn ttl(args: &Args<'_>) -> Outcome<u8> {
    let (_, socket) = args.this::<Handle>()?;
    let connection = socket.current().ok_or("socket is not open/bound yet")?;
    if let Some(value) = hop_limit(args)? {
        connection.set_hop_limit(value);
    }
    Ok(connection.hop_limit())
}

/// `socket:getpeer()`
fn get_peer(args: &Args<'_>) -> Outcome<MultiValue> {
    let (_, socket) = args.this::<Handle>()?;
    let peer = socket.current().and_then(|connection| connection.peer());
    Ok(address_values(args.lua, peer, is_gen2(args.lua))?.into_lua_multi(args.lua)?)
}

/// `socket:getaddr()`
fn get_addr(args: &Args<'_>) -> Outcome<MultiValue> {
    let (_, socket) = args.this::<Handle>()?;
    let local = socket.current().and_then(|connection| connection.local());
    Ok(address_values(args.lua, local, false)?.into_lua_multi(args.lua)?)
}
