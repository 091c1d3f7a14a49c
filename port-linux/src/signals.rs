//! Ctrl-C and SIGTERM: the first asks the program to end in order, the second ends it at once.
//!
//! A thread of their own receives them, because the thread that everything runs on may be busy with a script.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// 128 and the signal's number, as a shell has it.
const SIGINT_STATUS: u8 = 130;
const SIGTERM_STATUS: u8 = 143;

/// What has been received.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// The user wants what runs to stop, and nobody has taken notice yet.
    interrupted: AtomicBool,
    /// Everything is being closed already.
    closing: AtomicBool,
    status: AtomicU8,
    notify: Notify,
}

impl Signals {
    /// Receives signals from now on.
    pub(crate) fn receive() -> io::Result<Arc<Self>> {
        let signals = Arc::new(Self::default());
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let received = signals.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let terminated = async {
                    while terminate.recv().await.is_some() {
                        received.take(SIGTERM_STATUS)
                    }
                };
                let interrupted = async {
                    while interrupt.recv().await.is_some() {
                        received.take(SIGINT_STATUS)
                    }
                };
                embassy_futures::join::join(terminated, interrupted).await
            })
        })?;
        Ok(signals)
    }

    fn take(&self, status: u8) {
        if self.interrupted.swap(true, Ordering::SeqCst) || self.closing.load(Ordering::SeqCst) {
            crate::prompt::restore_terminal();
            process::exit(i32::from(status));
        }
        self.status.store(status, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Whether a signal has come that nobody has taken notice of; true once for each.
    pub(crate) fn take_interrupted(&self) -> bool {
        self.interrupted.swap(false, Ordering::SeqCst)
    }

    /// Waits until a signal has come that nobody has taken notice of.
    pub(crate) async fn interrupted(&self) {
        while !self.interrupted.load(Ordering::SeqCst) {
            self.notify.notified().await;
        }
    }

    /// From now on a further signal ends the program at once.
    pub(crate) fn closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// The exit status for the last signal.
    pub(crate) fn status(&self) -> u8 {
        self.status.load(Ordering::SeqCst)
    }
}
