//! `net.server`: listening TCP ports.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;

use embassy_futures::select::{Either, select};
use embassy_time::Duration;
use mlua::{AnyUserData, IntoLuaMulti, Lua, MultiValue};
use net_core::Error;

use super::connection::{Connection, serve};
use super::{Net, address_values, codes, handlers, listen_address, socket};
use crate::adapter::{Listener, LocalFuture, Stream};
use crate::binding::{Args, Binder, Outcome, with};
use crate::engine::{Call, Kind, poll_once, until};
use crate::limits;
use crate::platform::Level;

/// The name under which the accept callback is kept.
const ACCEPT: &str = "accept";

/// What a `net.server` is in Rust.
struct Server {
    /// How long a client may be silent.
    silence: Duration,
    listening: RefCell<Option<Rc<Listening>>>,
}

type Handle = Rc<Server>;

/// A server that listens, on one or several networks.
struct Listening {
    /// The object, which thereby stays alive, until it is closed.
    owner: RefCell<Option<AnyUserData>>,
    local: SocketAddr,
    silence: Duration,
}

/// A listener, or one that takes its time.
type Opening = LocalFuture<'static, Result<Box<dyn Listener>, Error>>;

pub(super) fn open(lua: &Lua, binder: &Binder, net: &Rc<Net>) -> mlua::Result<()> {
    let class = binder.module(lua)?;
    class.function("listen", with(net, listen))?.function("getaddr", get_addr)?.function("close", close)?;
    class.finish_class::<Handle>("net.server")
}

/// A server that does not listen; its clients may be silent for `timeout` seconds.
pub(super) fn create(lua: &Lua, timeout: u64) -> mlua::Result<AnyUserData> {
    let server = Server { silence: Duration::from_secs(timeout), listening: RefCell::new(None) };
    handlers::object(lua, Rc::new(server))
}

/// `server:listen([port] [, ip], function(socket))`
fn listen(net: &Rc<Net>, args: &Args<'_>) -> Outcome<()> {
    let (object, server) = args.this::<Handle>()?;
    if server.listening.borrow().is_some() {
        return Err("already listening".into());
    }
    let (mut local, callback) = listen_address(args)?;
    if !args.get(callback).is_function() {
        return Err("need callback".into());
    }
    handlers::set(&object, ACCEPT, Some(args.function(callback)?))?;

    // All networks have to agree before any of them is listened on.
    let mut openings = Vec::new();
    for adapter in net.adapters_with(local.ip()) {
        let mut opening: Opening = Box::pin(async move { adapter.listen(local, limits::BACKLOG).await });
        let listener = match poll_once(&mut opening) {
            Some(Ok(listener)) => {
                // A port chosen by the first network is that of all.
                local.set_port(listener.local_addr().port());
                Some(listener)
            }
            Some(Err(error)) => return Err(codes::text(error).into()),
            None => None,
        };
        openings.push((opening, listener));
    }
    if openings.is_empty() {
        return Err("cannot allocate PCB".into());
    }
    let owner = RefCell::new(Some(object));
    let listening = Rc::new(Listening { owner, local, silence: server.silence });
    *server.listening.borrow_mut() = Some(listening.clone());
    for (opening, listener) in openings {
        net.engine.spawn(Kind::Waits, accept_all(net.clone(), listening.clone(), opening, listener));
    }
    Ok(())
}

/// `server:close()`: clients that were accepted stay.
fn close(args: &Args<'_>) -> Outcome<()> {
    let (_, server) = args.this::<Handle>()?;
    if let Some(listening) = server.listening.take() {
        listening.owner.take();
    }
    Ok(())
}

/// `server:getaddr()`
fn get_addr(args: &Args<'_>) -> Outcome<MultiValue> {
    let (_, server) = args.this::<Handle>()?;
    let local = server.listening.borrow().as_ref().map(|listening| listening.local);
    Ok(address_values(args.lua, local, false)?.into_lua_multi(args.lua)?)
}

/// Hands clients to the script, one after another, until the server is closed.
async fn accept_all(net: Rc<Net>, listening: Rc<Listening>, opening: Opening, listener: Option<Box<dyn Listener>>) {
    let closed = || listening.owner.borrow().is_none();
    let work = async {
        let mut listener = match listener {
            Some(listener) => listener,
            None => opening.await?,
        };
        loop {
            let stream = listener.accept().await?;
            let taken = Rc::new(Cell::new(false));
            tell_accepted(&net, &listening, stream, taken.clone());
            until(|| taken.get()).await;
        }
    };
    let failed = match select(work, until(closed)).await {
        Either::First(Ok::<core::convert::Infallible, Error>(never)) => match never {},
        Either::First(Err(error)) => error,
        Either::Second(()) => return,
    };
    net.engine.platform().log(Level::Warn, &format!("net: server on {} stops: {failed}", listening.local));
}

/// Leaves the job that calls the accept callback with a new socket.
fn tell_accepted(net: &Rc<Net>, listening: &Rc<Listening>, stream: Box<dyn Stream>, taken: Rc<Cell<bool>>) {
    let (net, listening) = (net.clone(), listening.clone());
    net.engine.clone().post(move |lua| {
        taken.set(true);
        let Some(server) = listening.owner.borrow().clone() else { return Ok(None) };
        let Some(callback) = handlers::get(&server, ACCEPT)? else { return Ok(None) };
        let mut stream = stream;
        // A peer that has vanished without a word is noticed even if the script only ever holds the data back.
        stream.set_keep_alive(Some(listening.silence));
        let object = socket::create(lua)?;
        let connection = Connection::inbound(object.clone(), &*stream, listening.silence);
        socket::adopt(&object, connection.clone())?;
        // After the callback, which may install the handler, and before any data.
        connection.tell(&net, "connection", |lua, owner| owner.into_lua_multi(lua));
        net.engine.spawn(Kind::Closes, serve(net.clone(), connection, stream));
        Call::new(lua, callback, object).map(Some)
    });
}
