//! What the tests of this crate share: a device with a console that can be read, and peers.
#![allow(dead_code)] // no test file uses all of it

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use embassy_futures::join::join;
use embassy_time::{Duration, Timer};
use net_core::time::{Clock, SoftClock};
use net_lua::adapter::{Adapter, ConnectOptions, Stream};
use net_lua::platform::{Entry, FileError, Files, Level, Platform, Role, Store};
use net_lua::{Exit, Options, Runtime};

pub(crate) mod fake;

/// A device.
pub(crate) struct Device {
    adapters: Vec<(Role, Rc<dyn Adapter>)>,
    pub(crate) clock: SoftClock,
    files: RefCell<HashMap<String, Vec<u8>>>,
    store: RefCell<HashMap<String, Vec<u8>>>,
    printed: RefCell<String>,
    pub(crate) logged: RefCell<Vec<String>>,
    pub(crate) delayed: Cell<Duration>,
    pub(crate) interrupts: Cell<u32>,
}

impl Device {
    pub(crate) fn new(adapters: Vec<(Role, Rc<dyn Adapter>)>) -> Rc<Self> {
        Rc::new(Self {
            adapters,
            clock: SoftClock::new(),
            files: RefCell::default(),
            store: RefCell::default(),
            printed: RefCell::default(),
            logged: RefCell::default(),
            delayed: Cell::new(Duration::from_ticks(0)),
            interrupts: Cell::new(0),
        })
    }

    pub(crate) fn file(&self, path: &str, content: &str) {
        self.files.borrow_mut().insert(path.into(), content.into());
    }

    /// What has been printed since the last call.
    pub(crate) fn printed(&self) -> String {
        self.printed.take()
    }

    pub(crate) fn runtime(self: &Rc<Self>) -> Runtime {
        Runtime::new(self.clone(), Options::default()).unwrap()
    }
}

impl Platform for Device {
    fn adapters(&self) -> &[(Role, Rc<dyn Adapter>)] {
        &self.adapters
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn files(&self) -> &dyn Files {
        self
    }

    fn store(&self) -> &dyn Store {
        self
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }

    fn print(&self, text: &[u8]) {
        self.printed.borrow_mut().push_str(&String::from_utf8_lossy(text));
    }

    fn log(&self, _: Level, message: &str) {
        self.logged.borrow_mut().push(message.into());
    }

    fn delay(&self, time: Duration) {
        self.delayed.set(self.delayed.get() + time);
    }

    fn interrupted(&self) -> bool {
        let wanted = self.interrupts.get();
        self.interrupts.set(wanted.saturating_sub(1));
        wanted > 0
    }
}

impl Files for Device {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        self.files.borrow().get(path).cloned().ok_or(FileError::NotFound)
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        self.files.borrow_mut().insert(path.into(), content.into());
        Ok(())
    }

    fn list(&self, _: &str) -> Result<Vec<Entry>, FileError> {
        let files = self.files.borrow();
        let entry = |(name, content): (&String, &Vec<u8>)| Entry {
            name: name.clone(),
            size: content.len() as u64,
            is_directory: false,
        };
        Ok(files.iter().map(entry).collect())
    }
}

impl Store for Device {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.store.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, value: Option<&[u8]>) -> Result<(), FileError> {
        match value {
            Some(value) => self.store.borrow_mut().insert(key.into(), value.into()),
            None => self.store.borrow_mut().remove(key),
        };
        Ok(())
    }
}

/// A device at 10.0.0.1 and a peer, which is driven from Rust, at 10.0.0.2.
pub(crate) struct Pair {
    pub(crate) net: fake::Net,
    pub(crate) device: Rc<Device>,
    pub(crate) host: Rc<fake::Host>,
    pub(crate) peer: Rc<fake::Host>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let net = fake::Net::new();
        let host = net.host("10.0.0.1");
        let peer = net.host("10.0.0.2");
        Self { device: Device::new(vec![(Role::Eth, host.clone())]), net, host, peer }
    }

    /// Runs `script` until it ends by itself; gives what it printed.
    pub(crate) fn run(&self, script: &str) -> String {
        let exit = virtual_time::block_on(async {
            let runtime = self.device.runtime();
            let exit = runtime.run_chunk("test.lua", script.as_bytes(), &[]).await;
            runtime.shutdown().await;
            exit
        });
        assert_eq!(exit, Exit::Finished, "printed: {}", self.device.printed());
        self.device.printed()
    }

    /// Runs `script` beside `peer`, and a second longer; gives what it printed.
    pub(crate) fn run_with(&self, script: &str, peer: impl Future<Output = ()>) -> String {
        virtual_time::block_on(async {
            let runtime = self.device.runtime();
            let all = async {
                peer.await;
                Timer::after(Duration::from_secs(1)).await;
                runtime.stop();
            };
            let (exit, ()) = join(runtime.run_chunk("test.lua", script.as_bytes(), &[]), all).await;
            assert!(matches!(exit, Exit::Stopped | Exit::Finished), "{exit:?}");
            runtime.shutdown().await;
        });
        self.device.printed()
    }

    /// The peer connects to the device.
    pub(crate) async fn dial(&self, port: u16) -> Box<dyn Stream> {
        // The script may not listen yet.
        loop {
            match self.peer.connect((self.host.address, port).into(), ConnectOptions::new()).await {
                Ok(stream) => return stream,
                Err(_) => Timer::after(Duration::from_millis(10)).await,
            }
        }
    }

    /// The peer listens, and takes one connection.
    pub(crate) async fn answer(&self, port: u16) -> Box<dyn Stream> {
        let mut listener = self.peer.listen((self.peer.address, port).into(), 8).await.unwrap();
        listener.accept().await.unwrap()
    }
}

/// Writes all of `data`.
pub(crate) async fn write(stream: &mut dyn Stream, data: &[u8]) {
    let (_, mut writer) = stream.split();
    let mut rest = data;
    while !rest.is_empty() {
        let count = writer.write(rest).await.unwrap();
        rest = &rest[count..];
    }
}

/// Closes the sending half.
pub(crate) async fn finish(stream: &mut dyn Stream) {
    stream.split().1.finish().await.unwrap();
}

/// Reads once.
pub(crate) async fn read(stream: &mut dyn Stream) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let length = stream.split().0.read(&mut buffer).await.unwrap();
    buffer[..length].to_vec()
}

/// Reads `length` bytes.
pub(crate) async fn read_exact(stream: &mut dyn Stream, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let piece = read(stream).await;
        assert!(!piece.is_empty(), "the stream ended after {} bytes of {length}", all.len());
        all.extend(piece);
    }
    all
}

/// Reads until the end.
pub(crate) async fn read_all(stream: &mut dyn Stream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = read(stream).await;
        if piece.is_empty() {
            return all;
        }
        all.extend(piece);
    }
}

pub(crate) async fn sleep(milliseconds: u64) {
    Timer::after(Duration::from_millis(milliseconds)).await;
}
