//! A network that needs no rights: the program passt(1) is the rest of the world, and turns what the device sends into
//! ordinary sockets of this computer.
//!
//! The device gets its address, router and DNS servers by DHCP. Nobody can reach it but through forwarded ports; at
//! the router's address it finds the services that this computer offers to itself.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::mac::Mac;
use crate::routes::{free_network, routes};

const MTU: usize = 1500;
const ETHERNET: usize = 14;
/// passt puts even the largest datagram into one frame.
const LONGEST_FRAME: usize = 65535 + ETHERNET;
/// On the stream each frame follows its length.
const LENGTH: usize = 4;
/// Starting a program and getting its first answer takes milliseconds; a loaded machine is given time.
const START: Duration = Duration::from_secs(30);
/// Lines of passt's complaints that are kept.
const COMPLAINTS: usize = 8;

/// A port of this computer whose connections or datagrams go to one of the device's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// UDP, else TCP.
    pub udp: bool,
    /// The address of this computer that it is bound to.
    pub address: IpAddr,
    /// The computer's port.
    pub host: u16,
    /// The device's port.
    pub guest: u16,
}

impl fmt::Display for Forward {
    /// As passt takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.address, self.host, self.guest)
    }
}

/// How a [`User`] network is to be.
#[derive(Debug, Clone, Default)]
pub struct UserConfig {
    /// The device's hardware address. `None`: always the same one; nobody else is on this network.
    pub mac: Option<Mac>,
    /// The ports through which the device can be reached.
    pub forwards: Vec<Forward>,
}

/// The device's end of a user-mode network. Dropping it ends passt; so does the end of this process.
#[derive(Debug)]
pub struct User {
    stream: UnixStream,
    passt: Passt,
    mac: Mac,
    address: Ipv4Addr,
    link_up: bool,
    rx: Received,
    tx: Vec<u8>,
    /// How much of `tx` has been written.
    written: usize,
    /// The task that sends.
    waker: Waker,
}

#[derive(Debug)]
struct Passt {
    child: Child,
    complaints: Arc<Mutex<VecDeque<String>>>,
    /// The thread that reads them.
    reader: Option<JoinHandle<()>>,
}

impl Passt {
    /// What it had to say in the end. It has closed the stream, so it is about to end.
    fn last_words(&mut self) -> String {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.complaints()
    }

    fn complaints(&self) -> String {
        let lines = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Passt {
    fn drop(&mut self) {
        // It may have ended by itself; either way it leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes from the stream, of which `start..end` have not been taken yet.
#[derive(Debug)]
struct Received {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Received {
    /// Takes the next frame, if all of it is there.
    fn frame(&mut self) -> Result<Option<std::ops::Range<usize>>, io::Error> {
        let waiting = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some(length) = waiting.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) else {
            return Ok(None);
        };
        if length > LONGEST_FRAME {
            return Err(ErrorKind::InvalidData.into());
        }
        if waiting.len() < LENGTH + length {
            return Ok(None);
        }
        let from = self.start + LENGTH;
        self.start = from + length;
        Ok(Some(from..self.start))
    }

    /// Where more can be put.
    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() - self.end < LENGTH + LONGEST_FRAME || self.start == self.end {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }
}

impl User {
    /// Starts passt and waits until it answers. Inside [`block_on`](crate::block_on) only.
    ///
    /// # Errors
    /// See [`UserError`].
    pub async fn open(config: &UserConfig) -> Result<Self, UserError> {
        let network = free_network(&routes()).ok_or(UserError::NoFreeNetwork)?;
        let mut hosts = network.iter().addresses().skip(1);
        let (Some(router), Some(address)) = (hosts.next(), hosts.next()) else { return Err(UserError::NoFreeNetwork) };
        let (ours, theirs) = StdUnixStream::pair().map_err(UserError::Failed)?;
        ours.set_nonblocking(true).map_err(UserError::Failed)?;
        let mut command = Command::new("passt");
        // In the foreground; only complaints; its end of the stream is its standard input.
        command.args(["--foreground", "--quiet", "--fd", "0", "--netmask", "24"]);
        command.args(["--address", &address.to_string(), "--gateway", &router.to_string()]);
        for forward in &config.forwards {
            command.args([if forward.udp { "--udp-ports" } else { "--tcp-ports" }, &forward.to_string()]);
        }
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| match e.kind() {
            ErrorKind::NotFound => UserError::NotInstalled,
            _ => UserError::Failed(e),
        })?;
        // The command holds passt's end of the stream; without it, we see passt's end.
        drop(command);
        let complaints = Arc::default();
        let reader = child.stderr.take().map(|stderr| {
            let complaints = Arc::clone(&complaints);
            thread::spawn(move || collect(stderr, &complaints))
        });
        let mut user = Self {
            stream: UnixStream::from_std(ours).map_err(UserError::Failed)?,
            passt: Passt { child, complaints, reader },
            mac: config.mac.unwrap_or(Mac([0x02, 0x6c, 0x75, 0x6e, 0x65, 0x74])),
            address,
            link_up: true,
            rx: Received { bytes: vec![0; 4 * (LENGTH + LONGEST_FRAME)].into(), start: 0, end: 0 },
            tx: Vec::new(),
            written: 0,
            waker: Waker::noop().clone(),
        };
        match timeout(START, user.until_it_answers(router)).await {
            Ok(Ok(())) => Ok(user),
            Ok(Err(_)) => Err(UserError::Ended(user.passt.last_words())),
            Err(_) => Err(UserError::Ended("no answer".to_owned())),
        }
    }

    /// The address that the device gets by DHCP.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Asks who has the router's address (RFC 826), which passt answers once it is ready.
    async fn until_it_answers(&mut self, router: Ipv4Addr) -> io::Result<()> {
        let mut question = [0; 42];
        question[..6].fill(0xff);
        question[6..12].copy_from_slice(&self.mac.0);
        question[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        question[22..28].copy_from_slice(&self.mac.0);
        question[28..32].copy_from_slice(&self.address.octets());
        question[38..].copy_from_slice(&router.octets());
        poll_fn(|cx| {
            if let Some(room) = self.transmit(cx) {
                room.consume(question.len(), |frame| frame.copy_from_slice(&question));
            }
            Poll::Ready(())
        })
        .await;
        // It is the first frame, so there is room for all of it at once.
        self.stream.writable().await?;
        self.write()?;
        loop {
            self.stream.readable().await?;
            self.read()?;
            while let Some(range) = self.rx.frame()? {
                let frame = self.rx.bytes.get(range).unwrap_or_default();
                let is_reply = frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2]);
                if is_reply && frame.get(28..32) == Some(&router.octets()) {
                    return Ok(());
                }
            }
        }
    }

    /// Reads what there is; nothing is no error, the end of the stream is.
    fn read(&mut self) -> io::Result<()> {
        match self.stream.try_read(self.rx.room()) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.rx.end += n;
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Writes what waits, until the stream takes no more.
    fn write(&mut self) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.tx.get(self.written..) {
            match self.stream.try_write(rest) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn ended(&mut self, error: &io::Error) {
        if std::mem::take(&mut self.link_up) {
            log::error!("the user-mode network has ended: {error} {}", self.passt.complaints());
        }
    }

    /// Whether there is room for a frame; if not, the task is woken when there is.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        while self.link_up && self.written < self.tx.len() {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {
                    if let Err(e) = self.write() {
                        self.ended(&e);
                    }
                }
                Poll::Ready(Err(e)) => self.ended(&e),
                Poll::Pending => return false,
            }
        }
        true
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> io::Result<Option<std::ops::Range<usize>>> {
        loop {
            if let Some(range) = self.rx.frame()? {
                return Ok(Some(range));
            }
            match self.stream.poll_read_ready(cx)? {
                Poll::Ready(()) => self.read()?,
                Poll::Pending => return Ok(None),
            }
        }
    }
}

fn collect(stderr: ChildStderr, complaints: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // It says this of each line where there is no system log.
        if line.is_empty() || line.starts_with("Failed to send") || line.contains("Changing to nobody") {
            continue;
        }
        log::debug!("passt: {line}");
        let mut complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.push_back(line.trim().to_owned());
        if complaints.len() > COMPLAINTS {
            complaints.pop_front();
        }
    }
}

impl Driver for User {
    type RxToken<'a> = UserRx<'a>;
    type TxToken<'a> = UserTx<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(UserRx<'_>, UserTx<'_>)> {
        if !self.link_up || !self.poll_room(cx) {
            return None;
        }
        let range = match self.poll_frame(cx) {
            Ok(range) => range?,
            Err(e) => {
                self.ended(&e);
                // So that the stack asks for the link's state.
                cx.waker().wake_by_ref();
                return None;
            }
        };
        self.waker.clone_from(cx.waker());
        let Self { stream, tx, written, rx, waker, .. } = self;
        Some((UserRx(rx.bytes.get_mut(range)?), UserTx { stream, tx, written, waker }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<UserTx<'_>> {
        if !self.poll_room(cx) {
            return None;
        }
        self.waker.clone_from(cx.waker());
        let Self { stream, tx, written, waker, .. } = self;
        Some(UserTx { stream, tx, written, waker })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        if self.link_up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU + ETHERNET;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac.0)
    }
}

/// A received frame.
#[derive(Debug)]
pub struct UserRx<'a>(&'a mut [u8]);

impl RxToken for UserRx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to be sent.
#[derive(Debug)]
pub struct UserTx<'a> {
    stream: &'a UnixStream,
    tx: &'a mut Vec<u8>,
    written: &'a mut usize,
    waker: &'a Waker,
}

impl TxToken for UserTx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.tx.clear();
        self.tx.extend((len as u32).to_be_bytes());
        self.tx.resize(LENGTH + len, 0);
        let result = f(self.tx.get_mut(LENGTH..).unwrap_or_default());
        // A stream that has ended shows when reading.
        *self.written = self.stream.try_write(self.tx).unwrap_or(0);
        if *self.written < self.tx.len() {
            // When asked for the next frame, we ask to be woken when there is room.
            self.waker.wake_by_ref();
        }
        result
    }
}

/// Why there is no user-mode network.
#[derive(Debug)]
#[non_exhaustive]
pub enum UserError {
    /// There is no program `passt`.
    NotInstalled,
    /// passt has ended, with this as its last words.
    Ended(String),
    /// All of 10.0.0.0/16 is in use.
    NoFreeNetwork,
    /// The operating system refused something else.
    Failed(io::Error),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("user-mode network: ")?;
        match self {
            Self::NotInstalled => {
                f.write_str("the program `passt` is missing; install it (Debian: `apt install passt`)")
            }
            Self::Ended(complaints) if complaints.is_empty() => f.write_str("passt ended without a word"),
            Self::Ended(complaints) => write!(f, "passt ended: {complaints}"),
            Self::NoFreeNetwork => f.write_str("every network in 10.0.0.0/16 is in use on this computer"),
            Self::Failed(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for UserError {}
