//! One TCP connection of a script, from `connect` or from a server, until it has ended.
//!
//! The script's side ([`Connection`]'s methods) and the task ([`client`], [`serve`]) meet in the cells of
//! [`Connection`]; the task leaves jobs for what the script is to be told. An object may have several connections in
//! its life, one after another: the old one's task may still be delivering what was sent before `close`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, pending};
use core::net::{IpAddr, SocketAddr};

use embassy_futures::select::{Either, Either4, select, select4};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use mlua::{AnyUserData, IntoLuaMulti, Lua};
use net_core::Error;

use super::outgoing::Outgoing;
use super::{Net, codes, handlers, socket};
use crate::adapter::{ConnectOptions, Stream, StreamReader, StreamWriter};
use crate::engine::{Call, until};
use crate::limits;

/// How long a socket whose peer has closed waits for its script to install a `receive` handler, when there is data that
/// nobody has read.
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// How often a connection is looked at whose script does not read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a closed socket's task waits for what was sent to be acknowledged. The stack goes on beyond it.
const LINGER: Duration = Duration::from_secs(10);
/// At first, as in [`net_core::nal`].
const HOP_LIMIT: u8 = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The name is being looked up.
    Resolving,
    /// The address is known.
    Connecting,
    /// Data can flow.
    Open,
    /// It has ended, but the script has not been told yet.
    Ended,
    /// The script has closed it or has been told of its end.
    Closed,
}

pub(super) struct Connection {
    /// The script's object, which thereby stays alive, until the script has closed it or has been told of its end.
    owner: RefCell<Option<AnyUserData>>,
    state: Cell<State>,
    local: Cell<Option<SocketAddr>>,
    peer: Cell<Option<SocketAddr>>,
    outgoing: RefCell<Outgoing>,
    /// Received, and not given to the script.
    unread: RefCell<VecDeque<Vec<u8>>>,
    /// Whether a job is under way that gives the script a piece of it.
    delivering: Cell<bool>,
    /// How many `sent` events the script has not been told of yet.
    untold: Cell<usize>,
    /// Whether the script has a `receive` handler.
    receiving: Cell<bool>,
    held: Cell<bool>,
    hop_limit: Cell<u8>,
    hop_limit_changed: Cell<bool>,
    /// When data was last received or acknowledged.
    active: Cell<Instant>,
    /// How long it may be silent.
    silence: Option<Duration>,
}

impl Connection {
    fn new(owner: AnyUserData, state: State, receiving: bool, silence: Option<Duration>) -> Rc<Self> {
        Rc::new(Self {
            owner: RefCell::new(Some(owner)),
            state: Cell::new(state),
            local: Cell::new(None),
            peer: Cell::new(None),
            outgoing: RefCell::default(),
            unread: RefCell::default(),
            delivering: Cell::new(false),
            untold: Cell::new(0),
            receiving: Cell::new(receiving),
            held: Cell::new(false),
            hop_limit: Cell::new(HOP_LIMIT),
            hop_limit_changed: Cell::new(false),
            active: Cell::new(Instant::now()),
            silence,
        })
    }

    /// One that is to be made by [`client`].
    pub(super) fn outbound(owner: AnyUserData, receiving: bool, by_name: bool) -> Rc<Self> {
        let state = if by_name { State::Resolving } else { State::Connecting };
        Self::new(owner, state, receiving, None)
    }

    /// One that a server has accepted; it may be silent for `silence`.
    pub(super) fn inbound(owner: AnyUserData, stream: &dyn Stream, silence: Duration) -> Rc<Self> {
        let connection = Self::new(owner, State::Open, false, Some(silence));
        connection.opened(stream);
        connection
    }

    fn opened(&self, stream: &dyn Stream) {
        self.local.set(Some(stream.local_addr()));
        self.peer.set(Some(stream.peer_addr()));
        if !self.hop_limit_changed.get() {
            self.hop_limit.set(stream.hop_limit());
        }
        self.active.set(Instant::now());
        self.state.set(State::Open);
    }

    fn is_closed(&self) -> bool {
        self.state.get() == State::Closed
    }

    /// This end's address; none before it is connected.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.local.get()
    }

    /// The other end's address; none before its name is resolved.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer.get()
    }

    pub(super) fn hop_limit(&self) -> u8 {
        self.hop_limit.get()
    }

    pub(super) fn set_hop_limit(&self, hop_limit: u8) {
        self.hop_limit.set(hop_limit);
        self.hop_limit_changed.set(true);
    }

    /// Queues `data` as a whole.
    ///
    /// # Errors
    /// The text to raise.
    pub(super) fn send(&self, data: &[u8]) -> Result<(), &'static str> {
        if !matches!(self.state.get(), State::Connecting | State::Open) {
            return Err("not connected");
        }
        if self.outgoing.borrow_mut().push(data) { Ok(()) } else { Err("out of memory") }
    }

    pub(super) fn hold(&self) {
        self.held.set(true);
    }

    pub(super) fn unhold(self: &Rc<Self>, net: &Rc<Net>) {
        self.held.set(false);
        // The silence was the script's.
        self.active.set(Instant::now());
        self.deliver(net);
    }

    /// Tells whether the script has a `receive` handler.
    pub(super) fn set_receiving(self: &Rc<Self>, net: &Rc<Net>, receiving: bool) {
        self.receiving.set(receiving);
        self.deliver(net);
    }

    /// The script closes it: what was sent is still delivered, but the script hears no more.
    pub(super) fn close(&self) {
        self.state.set(State::Closed);
        self.owner.take();
        self.unread.take();
    }

    /// Whether there is a use for more data. One piece at a time goes to the script, so that no peer can flood it;
    /// without a handler a window's worth is read ahead, so that the end of the stream is seen behind it.
    fn may_read(&self) -> bool {
        if self.held.get() {
            return false;
        }
        let unread = self.unread.borrow();
        if self.receiving.get() {
            unread.is_empty() && !self.delivering.get()
        } else {
            unread.iter().map(Vec::len).sum::<usize>() + limits::CHUNK <= limits::UNREAD
        }
    }

    fn may_deliver(&self) -> bool {
        self.receiving.get() && !self.held.get() && !self.unread.borrow().is_empty()
    }

    /// Gives the script the next piece of what was received, if it wants one.
    fn deliver(self: &Rc<Self>, net: &Rc<Net>) {
        if self.delivering.get() || !self.may_deliver() {
            return;
        }
        self.delivering.set(true);
        let (connection, shared) = (self.clone(), net.clone());
        net.engine.post(move |lua| {
            connection.delivering.set(false);
            let Some(owner) = connection.owner.borrow().clone() else { return Ok(None) };
            let Some(handler) = handlers::get(&owner, "receive")? else { return Ok(None) };
            if !connection.may_deliver() {
                return Ok(None);
            }
            let Some(piece) = connection.unread.borrow_mut().pop_front() else { return Ok(None) };
            let data = lua.create_string(&piece)?;
            // The next piece, if there is one already, comes after whatever else waits.
            connection.deliver(&shared);
            Call::new(lua, handler, (owner, data)).map(Some)
        });
    }

    /// Tells the script of an event, unless it has closed the socket by then.
    pub(super) fn tell(
        self: &Rc<Self>,
        net: &Rc<Net>,
        event: &'static str,
        arguments: impl FnOnce(&Lua, AnyUserData) -> mlua::Result<mlua::MultiValue> + 'static,
    ) {
        let connection = self.clone();
        net.engine.post(move |lua| {
            let Some(owner) = connection.owner.borrow().clone() else { return Ok(None) };
            let Some(handler) = handlers::get(&owner, event)? else { return Ok(None) };
            Call::new(lua, handler, arguments(lua, owner)?).map(Some)
        });
    }

    fn tell_sent(self: &Rc<Self>, net: &Rc<Net>) {
        self.untold.set(self.untold.get() + 1);
        let connection = self.clone();
        net.engine.post(move |lua| {
            connection.untold.set(connection.untold.get() - 1);
            let Some(owner) = connection.owner.borrow().clone() else { return Ok(None) };
            let Some(handler) = handlers::get(&owner, "sent")? else { return Ok(None) };
            Call::new(lua, handler, owner).map(Some)
        });
    }

    /// Tells the script that the connection has ended. When the handler runs, the object is free for another one.
    fn tell_end(self: &Rc<Self>, net: &Rc<Net>, code: i64) {
        self.state.set(State::Ended);
        let connection = self.clone();
        net.engine.post(move |lua| {
            let Some(owner) = connection.owner.borrow_mut().take() else { return Ok(None) };
            connection.state.set(State::Closed);
            socket::released(&owner)?;
            let mut handler = None;
            if code != codes::OK {
                handler = handlers::get(&owner, "reconnection")?;
            }
            if handler.is_none() {
                handler = handlers::get(&owner, "disconnection")?;
            }
            handler.map(|handler| Call::new(lua, handler, (owner, code))).transpose()
        });
    }
}

/// Connects to the first of the addresses that answers, then [`serve`]s.
pub(super) async fn client(
    net: Rc<Net>,
    connection: Rc<Connection>,
    lookup: impl Future<Output = Vec<IpAddr>>,
    port: u16,
) {
    let given_up = || connection.is_closed() || net.engine.is_closing();
    let stream = match select(connect(&net, &connection, lookup, port), until(given_up)).await {
        Either::First(Ok(stream)) => stream,
        Either::First(Err(code)) => return connection.tell_end(&net, code),
        Either::Second(()) => return,
    };
    connection.opened(&*stream);
    connection.tell(&net, "connection", |lua, owner| owner.into_lua_multi(lua));
    serve(net, connection, stream).await;
}

async fn connect(
    net: &Rc<Net>,
    connection: &Rc<Connection>,
    lookup: impl Future<Output = Vec<IpAddr>>,
    port: u16,
) -> Result<Box<dyn Stream>, i64> {
    let addresses = lookup.await;
    let first = addresses.first().map(ToString::to_string);
    connection.tell(net, "dns", move |lua, owner| (owner, first).into_lua_multi(lua));
    connection.state.set(State::Connecting);
    let mut failure = None;
    for address in addresses {
        let remote = SocketAddr::new(address, port);
        connection.peer.set(Some(remote));
        let result = match net.adapter_for(address) {
            Some(adapter) => {
                let mut options = ConnectOptions::new();
                options.hop_limit = connection.hop_limit.get();
                connection.hop_limit_changed.set(false);
                adapter.connect(remote, options).await
            }
            None => Err(Error::Unreachable),
        };
        match result {
            Ok(stream) => return Ok(stream),
            // The first address is the one that counts.
            Err(error) => failure = failure.or(Some(codes::code(error))),
        }
    }
    Err(failure.unwrap_or(codes::NO_ADDRESS))
}

/// Moves data both ways until the connection has ended.
pub(super) async fn serve(net: Rc<Net>, connection: Rc<Connection>, mut stream: Box<dyn Stream>) {
    let given_up = || connection.is_closed() || net.engine.is_closing();
    // What a script sends in one go is written in one go; waiting for more would only make it wait for `sent`.
    stream.set_no_delay(true);
    // The peer has closed: nothing more comes.
    let mut finished = false;
    let code = loop {
        if connection.hop_limit_changed.take() {
            // Zero never gets here.
            let _ = stream.set_hop_limit(connection.hop_limit.get());
        }
        let (mut reader, mut writer) = stream.split();
        let incoming = async {
            match finished {
                false => receive(&net, &connection, &mut *reader).await,
                true => {
                    at_end(&connection).await;
                    Ok(())
                }
            }
        };
        let happened = select4(
            until(|| given_up() || connection.hop_limit_changed.get()),
            incoming,
            transmit(&net, &connection, &mut *writer),
            silent(&connection),
        )
        .await;
        match happened {
            Either4::First(()) if given_up() => break None,
            Either4::First(()) => {}
            Either4::Second(Ok(())) if finished => break Some(codes::OK),
            Either4::Second(Ok(())) => finished = true,
            // What follows the peer's own end is no news.
            Either4::Second(Err(_)) | Either4::Third(_) if finished => break Some(codes::OK),
            Either4::Second(Err(error)) | Either4::Third(error) => break Some(codes::code(error)),
            Either4::Fourth(()) => {
                drop((reader, writer));
                stream.abort();
                break Some(codes::ABORTED);
            }
        }
    };
    if let Some(code) = code {
        connection.tell_end(&net, code);
        if code != codes::OK {
            return;
        }
    }
    linger(&connection, &mut *stream).await;
}

/// Reads for the script. Ends well when the peer has closed.
async fn receive(net: &Rc<Net>, connection: &Rc<Connection>, reader: &mut dyn StreamReader) -> Result<(), Error> {
    loop {
        wanted(connection, reader).await?;
        let mut piece = alloc::vec![0; limits::CHUNK];
        let length = reader.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        piece.truncate(length);
        connection.active.set(Instant::now());
        connection.unread.borrow_mut().push_back(piece);
        connection.deliver(net);
    }
}

/// Waits until there is a use for more data, or the connection fails.
async fn wanted(connection: &Connection, reader: &mut dyn StreamReader) -> Result<(), Error> {
    while !connection.may_read() {
        // While there is data that nobody reads, a failure shows only when one looks.
        let failure = async {
            reader.readable().await?;
            Timer::after(LOOK_AGAIN).await;
            Ok(())
        };
        match select(until(|| connection.may_read()), failure).await {
            Either::First(()) => {}
            Either::Second(result) => result?,
        }
    }
    Ok(())
}

/// Waits, when the peer has closed, until the script has got all data and all that it sends meanwhile is delivered.
async fn at_end(connection: &Rc<Connection>) {
    let read = || connection.unread.borrow().is_empty() && !connection.delivering.get();
    select(until(read), async {
        // Nobody wants the data. Perhaps somebody does presently.
        loop {
            until(|| !connection.receiving.get()).await;
            let somebody = until(|| connection.receiving.get());
            if let Either::Second(()) = select(somebody, Timer::after(LAST_CHANCE)).await {
                return;
            }
        }
    })
    .await;
    // A script that is told of the last `sent` may well send more.
    until(|| connection.outgoing.borrow().is_done() && connection.untold.get() == 0).await;
}

/// Writes what the script sends, and tells it what has arrived. Ends only with an error.
async fn transmit(net: &Rc<Net>, connection: &Rc<Connection>, writer: &mut dyn StreamWriter) -> Error {
    loop {
        let piece = connection.outgoing.borrow().next_piece();
        let result = match piece {
            Some(piece) => writer.write(&piece).await.map(|count| connection.outgoing.borrow_mut().wrote(count)),
            None if connection.outgoing.borrow().is_done() => {
                until(|| connection.outgoing.borrow().has_bytes()).await;
                continue;
            }
            None => {
                // Any progress: the clock that watches for silence wants to know.
                let limit = writer.unacknowledged().saturating_sub(1);
                let more = until(|| connection.outgoing.borrow().has_bytes());
                match select(writer.acknowledged(limit), more).await {
                    Either::First(result) => result,
                    Either::Second(()) => Ok(()),
                }
            }
        };
        if let Err(error) = result {
            return error;
        }
        let (complete, progress) = connection.outgoing.borrow_mut().unacknowledged(writer.unacknowledged());
        if progress {
            connection.active.set(Instant::now());
        }
        for _ in 0..complete {
            connection.tell_sent(net);
        }
    }
}

/// Waits until the connection has been silent for too long.
async fn silent(connection: &Connection) {
    let Some(limit) = connection.silence else { return pending().await };
    loop {
        // While the script holds the data back, the peer cannot but be silent.
        until(|| !connection.held.get()).await;
        let due = connection.active.get() + limit;
        if due <= Instant::now() {
            return;
        }
        Timer::at(due).await;
    }
}

/// Delivers what was sent before the end, then closes. What the peer still sends is read and thrown away: left unread
/// it would turn the orderly close into a reset, which could overtake our last words.
async fn linger(connection: &Connection, stream: &mut dyn Stream) {
    let (mut reader, mut writer) = stream.split();
    let deliver = async {
        loop {
            let piece = connection.outgoing.borrow().next_piece();
            let Some(piece) = piece else { break };
            let count = writer.write(&piece).await?;
            connection.outgoing.borrow_mut().wrote(count);
        }
        writer.finish().await?;
        writer.flush().await
    };
    let discard = async {
        let mut waste = [0; 256];
        while reader.read(&mut waste).await.is_ok_and(|length| length > 0) {}
        pending::<()>().await
    };
    // However this ends, dropping the stream closes it.
    let _ = with_timeout(LINGER, select(deliver, discard)).await.map(|either| match either {
        Either::First(result) => result,
        Either::Second(()) => Ok::<(), Error>(()),
    });
}
