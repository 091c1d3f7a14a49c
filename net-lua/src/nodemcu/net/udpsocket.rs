//! `net.udpsocket`: UDP, with the methods of the newest document and, beside them, those of the older ones, where a UDP
//! socket is connected to a peer or answers whoever sent last.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use mlua::{AnyUserData, IntoLuaMulti, Lua, MultiValue, Value};
use net_core::Error;

use super::udpport::{Event, Port};
use super::{Net, address_values, codes, dns, handlers, hop_limit, ip, is_gen2, listen_address, port, socket};
use crate::adapter::{Datagrams, LocalFuture};
use crate::binding::{Args, Binder, Outcome, Raise, with};
use crate::engine::{Call, Kind, poll_once, until};
use crate::limits;
use crate::platform::Level;

const EVENTS: [&str; 3] = ["receive", "sent", "dns"];
/// Before receiving is tried again after it failed.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom `send(data)` is for.
#[derive(Default)]
enum Peer {
    /// Whoever sent last.
    #[default]
    LastSender,
    /// The name given to `connect` is being looked up; these datagrams are for it.
    Resolving(VecDeque<Vec<u8>>),
    /// The one given to `connect`.
    Connected(SocketAddr),
}

/// What a `net.udpsocket` is in Rust.
#[derive(Default)]
struct Udp {
    bound: RefCell<Option<Rc<Bound>>>,
    /// Whether there is a `receive` handler.
    receiving: Cell<bool>,
    peer: RefCell<Peer>,
    last_sender: Cell<Option<SocketAddr>>,
}

type Handle = Rc<Udp>;

/// A socket that has a port, on one or several networks.
struct Bound {
    /// The object, which thereby stays alive, until it is closed.
    owner: RefCell<Option<AnyUserData>>,
    local: SocketAddr,
    ports: Vec<Port>,
    /// Whether a job is under way that gives the script a datagram. One at a time, so that nobody can flood it.
    delivering: Cell<bool>,
}

/// A socket that takes its time to be bound.
type Opening = LocalFuture<'static, Result<Box<dyn Datagrams>, Error>>;

pub(super) fn open(lua: &Lua, binder: &Binder, net: &Rc<Net>) -> mlua::Result<()> {
    let class = binder.module(lua)?;
    class
        .function("listen", with(net, listen))?
        .function("connect", with(net, connect))?
        .function("close", close)?
        .function("on", on)?
        .function("send", with(net, send))?
        .function("dns", with(net, |net, args| dns::of_object(net, args, args.this::<Handle>()?.0)))?
        .function("ttl", ttl)?
        .function("getpeer", get_peer)?
        .function("getaddr", get_addr)?;
    class.finish_class::<Handle>("net.udpsocket")
}

/// A socket without a port.
pub(super) fn create(lua: &Lua) -> mlua::Result<AnyUserData> {
    handlers::object(lua, Handle::default())
}

/// `socket:listen([port] [, ip])`; a function after them is ignored.
fn listen(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, udp) = args.this::<Handle>()?;
    if udp.bound.borrow().is_some() {
        return Err("already listening".into());
    }
    let (local, _) = listen_address(args)?;
    bind(net, object, &udp, local)?;
    Ok(())
}

/// Binds on all networks that `local` is for.
fn bind(net: &Rc<Net>, object: AnyUserData, udp: &Handle, mut local: SocketAddr) -> Outcome<Rc<Bound>> {
    let mut ports = Vec::new();
    let mut openings = Vec::new();
    for adapter in net.adapters_with(local.ip()) {
        let port = Port::new(adapter.clone());
        let mut opening: Opening = Box::pin(async move { adapter.bind(local).await });
        let mut late = None;
        match poll_once(&mut opening) {
            Some(Ok(socket)) => {
                // A port chosen by the first network is that of all.
                local.set_port(socket.local_addr().port());
                port.opened(socket);
            }
            Some(Err(error)) => return Err(codes::text(error).into()),
            None => late = Some(opening),
        }
        ports.push(port);
        openings.push(late);
    }
    if ports.is_empty() {
        return Err("cannot allocate PCB".into());
    }
    let owner = RefCell::new(Some(object));
    let bound = Rc::new(Bound { owner, local, ports, delivering: Cell::new(false) });
    *udp.bound.borrow_mut() = Some(bound.clone());
    for (index, opening) in openings.into_iter().enumerate() {
        net.engine.spawn(Kind::Waits, serve(net.clone(), udp.clone(), bound.clone(), index, opening));
    }
    Ok(bound)
}

/// The socket's ports; an ephemeral one, for the IP version of `remote`, when it has none yet.
fn bound_for(net: &Rc<Net>, object: AnyUserData, udp: &Handle, remote: IpAddr) -> Outcome<Rc<Bound>> {
    if let Some(bound) = &*udp.bound.borrow() {
        return Ok(bound.clone());
    }
    let any = match remote {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    bind(net, object, udp, SocketAddr::new(any, 0))
}

/// `socket:connect(port, ip | domain)`: sets whom `send(data)` is for.
fn connect(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, udp) = args.this::<Handle>()?;
    let port = port(args, 2)?;
    if port == 0 {
        return Err("specify port".into());
    }
    let host = args.string(3)?.to_string_lossy();
    if let Ok(ip) = host.parse::<IpAddr>() {
        bound_for(net, object, &udp, ip)?;
        *udp.peer.borrow_mut() = Peer::Connected(SocketAddr::new(ip, port));
        return Ok(());
    }
    let lookup = net.lookup(&host)?;
    let bound = bound_for(net, object.clone(), &udp, IpAddr::V4(Ipv4Addr::UNSPECIFIED))?;
    *udp.peer.borrow_mut() = Peer::Resolving(VecDeque::new());
    let net_of_task = net.clone();
    net.engine.spawn(Kind::Waits, async move {
        let closed = || bound.owner.borrow().is_none();
        let Either::First(addresses) = select(lookup, until(closed)).await else { return };
        let found = addresses.first().copied();
        let peer = found.map_or(Peer::LastSender, |ip| Peer::Connected(SocketAddr::new(ip, port)));
        let waiting = udp.peer.replace(peer);
        if let (Peer::Resolving(waiting), Some(ip)) = (waiting, found) {
            for data in waiting {
                let remote = SocketAddr::new(ip, port);
                if let Err(error) = transmit(&net_of_task, &bound, remote, &data) {
                    log_failure(&net_of_task, Some(remote), error);
                }
            }
        }
        net_of_task.engine.post(move |lua| {
            let handler = handlers::get(&object, "dns")?;
            let ip = found.as_ref().map(ToString::to_string);
            handler.map(|handler| Call::new(lua, handler, (object, ip))).transpose()
        });
    });
    Ok(())
}

/// `socket:close()`
fn close(args: &Args<'_>) -> Outcome<()> {
    let (_, udp) = args.this::<Handle>()?;
    if let Some(bound) = udp.bound.take() {
        bound.owner.take();
        bound.ports.iter().for_each(Port::close);
    }
    udp.peer.take();
    udp.last_sender.take();
    Ok(())
}

/// `socket:on(event, function | nil)`
fn on(args: &Args<'_>) -> Outcome<()> {
    let (object, udp) = args.this::<Handle>()?;
    if handlers::on(args, &object, &EVENTS)? == "receive" {
        udp.receiving.set(!args.is_nil(3));
    }
    Ok(())
}

/// `socket:send(port, ip, data [, function])`, or `socket:send(data [, function])` to the peer of `connect`, else to
/// whoever sent last.
fn send(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, udp) = args.this::<Handle>()?;
    // The short form has a function, or nothing, where the long one has strings.
    let is_long = args.get(3).is_string() || args.get(4).is_string();
    let (remote, at) = match is_long {
        true => {
            let port = port(args, 2)?;
            if port == 0 {
                return Err("need port".into());
            }
            (Some(SocketAddr::new(ip(args, 3)?, port)), 4)
        }
        false => (None, 2),
    };
    let data = socket::data(args, at)?;
    let handler = args.optional_function(at + 1)?;
    let data = data.as_bytes();
    if data.len() > limits::UDP_PAYLOAD {
        return Err("cannot allocate message buffer".into());
    }
    let remote = match (remote, &mut *udp.peer.borrow_mut()) {
        (Some(remote), _) => Some(remote),
        (None, Peer::Connected(remote)) => Some(*remote),
        (None, Peer::Resolving(waiting)) if waiting.len() < limits::UDP_QUEUE => {
            waiting.push_back(data.to_vec());
            None
        }
        (None, Peer::Resolving(_)) => return Err("cannot allocate message buffer".into()),
        (None, Peer::LastSender) => Some(udp.last_sender.get().ok_or("remote ip/port unavailable")?),
    };
    if let Some(remote) = remote {
        let bound = bound_for(net, object.clone(), &udp, remote.ip())?;
        transmit(net, &bound, remote, &data).map_err(|error| Raise::from(codes::text(error)))?;
    }
    if handler.is_some() {
        handlers::set(&object, "sent", handler)?;
    }
    net.engine.post(move |lua| {
        let handler = handlers::get(&object, "sent")?;
        handler.map(|handler| Call::new(lua, handler, object)).transpose()
    });
    Ok(())
}

/// Sends through the network that leads to `remote`.
fn transmit(net: &Net, bound: &Bound, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
    let adapter = net.adapter_for(remote.ip()).ok_or(Error::Unreachable)?;
    let port = bound.ports.iter().find(|port| Rc::ptr_eq(&port.adapter, &adapter)).or(bound.ports.first());
    port.ok_or(Error::Unreachable)?.send(remote, data)
}

fn log_failure(net: &Net, remote: Option<SocketAddr>, error: Error) {
    let message = match remote {
        Some(remote) => format!("net: a datagram to {remote} could not be sent: {error}"),
        None => format!("net: a UDP socket cannot receive: {error}"),
    };
    net.engine.platform().log(Level::Warn, &message);
}

/// `socket:ttl([ttl])`
fn ttl(args: &Args<'_>) -> Outcome<u8> {
    const DEFAULT: u8 = 64;

    let (_, udp) = args.this::<Handle>()?;
    let bound = udp.bound.borrow().clone().ok_or("socket is not open/bound yet")?;
    if let Some(value) = hop_limit(args)? {
        bound.ports.iter().for_each(|port| port.set_hop_limit(value));
    }
    Ok(bound.ports.first().and_then(Port::hop_limit).unwrap_or(DEFAULT))
}

/// `socket:getpeer()`: the peer of `connect`.
fn get_peer(args: &Args<'_>) -> Outcome<MultiValue> {
    let (_, udp) = args.this::<Handle>()?;
    let peer = match &*udp.peer.borrow() {
        Peer::Connected(peer) => Some(*peer),
        _ => None,
    };
    Ok(address_values(args.lua, peer, is_gen2(args.lua))?.into_lua_multi(args.lua)?)
}

/// `socket:getaddr()`
fn get_addr(args: &Args<'_>) -> Outcome<MultiValue> {
    let (_, udp) = args.this::<Handle>()?;
    let local = udp.bound.borrow().as_ref().map(|bound| bound.local);
    Ok(address_values(args.lua, local, false)?.into_lua_multi(args.lua)?)
}

/// Receives on one network until the socket is closed.
async fn serve(net: Rc<Net>, udp: Handle, bound: Rc<Bound>, index: usize, opening: Option<Opening>) {
    let closed = || bound.owner.borrow().is_none();
    let Some(port) = bound.ports.get(index) else { return };
    if let Some(opening) = opening {
        match select(opening, until(closed)).await {
            Either::First(Ok(socket)) => port.opened(socket),
            Either::First(Err(error)) => return log_failure(&net, None, error),
            Either::Second(()) => return,
        }
    }
    loop {
        let wants = || udp.receiving.get() && !bound.delivering.get();
        let event = poll_fn(|cx| port.poll(cx, wants()));
        match select(until(closed), event).await {
            Either::First(()) => return,
            Either::Second(Event::Received(data, remote)) => deliver(&net, &udp, &bound, data, remote),
            Either::Second(Event::Failed(remote, error)) => {
                log_failure(&net, remote, error);
                if remote.is_none() {
                    select(until(closed), Timer::after(PAUSE)).await;
                }
            }
        }
    }
}

fn deliver(net: &Net, udp: &Handle, bound: &Rc<Bound>, data: Vec<u8>, remote: SocketAddr) {
    bound.delivering.set(true);
    let (udp, bound) = (udp.clone(), bound.clone());
    net.engine.post(move |lua| {
        bound.delivering.set(false);
        let Some(owner) = bound.owner.borrow().clone() else { return Ok(None) };
        udp.last_sender.set(Some(remote));
        let Some(handler) = handlers::get(&owner, "receive")? else { return Ok(None) };
        let data = Value::String(lua.create_string(&data)?);
        Call::new(lua, handler, (owner, data, remote.port(), remote.ip().to_string())).map(Some)
    });
}
