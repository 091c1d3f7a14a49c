//! The computer as a device that scripts see.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use net_core::time::{Clock, Duration, SoftClock};
use net_lua::platform::{Files, Level, Store};
use net_lua::{Adapter, Platform, Role};

use crate::Directory;
use crate::clock::SystemClock;
use crate::console;
use crate::signals::Signals;
use crate::store::FileStore;

/// The platform of a program on Linux.
pub(crate) struct Device {
    adapters: Vec<(Role, Rc<dyn Adapter>)>,
    /// Begins with the computer's time. A script that sets it sets nobody else's.
    clock: SoftClock,
    files: Directory,
    store: FileStore,
    signals: Arc<Signals>,
}

impl Device {
    pub(crate) fn new(
        adapters: Vec<(Role, Rc<dyn Adapter>)>,
        files: Directory,
        state: &Path,
        signals: Arc<Signals>,
    ) -> Self {
        let clock = SoftClock::new();
        if let Some(now) = SystemClock.now() {
            clock.set(now);
        }
        Self { adapters, clock, files, store: FileStore::new(state), signals }
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
        &self.files
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn random(&self, buffer: &mut [u8]) {
        random(buffer);
    }

    fn print(&self, text: &[u8]) {
        console::print(text);
    }

    fn log(&self, level: Level, message: &str) {
        match level {
            Level::Debug => log::debug!("{message}"),
            Level::Info => log::info!("{message}"),
            Level::Warn => log::warn!("{message}"),
            Level::Error => console::tell(message),
        }
    }

    fn delay(&self, time: Duration) {
        thread::sleep(std::time::Duration::from_micros(time.as_micros()));
    }

    fn interrupted(&self) -> bool {
        self.signals.take_interrupted()
    }
}

/// Fills `buffer` from the computer's generator.
fn random(buffer: &mut [u8]) {
    if let Err(e) = getrandom::fill(buffer) {
        // Only a kernel older than any that has what lunet needs elsewhere gives this; then guessing must not be easy
        // without anybody knowing.
        log::error!("the computer has no random numbers: {e}");
    }
}

/// A seed for a stack or a resolver.
pub(crate) fn seed() -> u64 {
    let mut seed = [0; 8];
    random(&mut seed);
    u64::from_ne_bytes(seed)
}
