//! The one thread that everything runs on.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, LocalOptions};

/// Runs `future` on this thread until it ends, with sockets, signals and timers; tasks that it spawned with
/// `tokio::task::spawn_local` are dropped then.
///
/// # Errors
/// When the operating system has no file descriptor or memory left for the runtime.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    Ok(runtime.block_on(async {
        // A task of its own, so that a timer of one task does not poll all the others.
        tokio::task::spawn_local(crate::time_driver::drive());
        future.await
    }))
}

/// A file descriptor whose readiness wakes tasks. Inside [`block_on`] only.
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open, refers to the same file and has the same number as long as it lives.
    #[allow(unsafe_code)]
    Ok(unsafe { AsyncFd::register(fd) }?)
}
