//! The times of one request.

use core::future::Future;

use net_core::time::{Duration, Instant, bounded, with_deadline};

use super::{ClientConfig, ClientError, Timeout};

/// How long the steps of a request may take, and when all of it must be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    connect: Duration,
    idle: Duration,
    deadline: Instant,
}

impl Times {
    /// Those of a request that begins now.
    pub(super) fn new(config: &ClientConfig) -> Self {
        Self { connect: config.connect, idle: config.idle, deadline: after(config.total) }
    }

    /// The same, but with so much time for the whole.
    pub(super) fn with_total(self, total: Duration) -> Self {
        Self { deadline: after(total).min(self.deadline), ..self }
    }

    /// Waits for something on a connection.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`], also with the total time when that has run out and there would be something: a server
    /// that never stops sending gets no more time than one that is silent.
    pub(super) async fn idle<F: Future>(&self, future: F) -> Result<F::Output, ClientError> {
        self.within(self.idle, Timeout::Idle, future).await
    }

    /// Waits for a connection, or for an address to connect to.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`].
    pub(super) async fn connecting<F: Future>(&self, future: F) -> Result<F::Output, ClientError> {
        self.within(self.connect, Timeout::Connect, future).await
    }

    /// Waits for the caller's own doing.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`].
    pub(super) async fn total<F: Future>(&self, future: F) -> Result<F::Output, ClientError> {
        self.within(Duration::MAX, Timeout::Total, future).await
    }

    async fn within<F: Future>(&self, span: Duration, timeout: Timeout, future: F) -> Result<F::Output, ClientError> {
        if Instant::now() >= self.deadline {
            return Err(ClientError::TimedOut(Timeout::Total));
        }
        with_deadline(after(span).min(self.deadline), future)
            .await
            .map_err(|_| ClientError::TimedOut(if Instant::now() >= self.deadline { Timeout::Total } else { timeout }))
    }
}

fn after(span: Duration) -> Instant {
    Instant::now() + bounded(span)
}
