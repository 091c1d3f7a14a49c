//! When a silent client is asked whether it is still there, and when it is given up.

use net_core::time::{Duration, Instant, bounded};

/// What is due at the moment that comes with it, if nothing is heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A Ping is to be sent.
    Ping(Instant),
    /// The client is dead.
    Dead(Instant),
}

impl Due {
    pub(super) fn at(self) -> Instant {
        match self {
            Self::Ping(at) | Self::Dead(at) => at,
        }
    }
}

/// Remembers when the client was heard last. Every byte from it counts, not only a Pong: one that sends a long message
/// cannot answer until it has ended.
#[derive(Debug)]
pub(super) struct KeepAlive {
    ping_after: Duration,
    pong_within: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

impl KeepAlive {
    pub(super) fn new(ping_after: Duration, pong_within: Duration, now: Instant) -> Self {
        Self { ping_after: bounded(ping_after), pong_within: bounded(pong_within), heard: now, pinged: None }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged = Some(now);
    }

    pub(super) fn due(&self) -> Due {
        match self.pinged {
            None => Due::Ping(self.heard + self.ping_after),
            Some(at) => Due::Dead(at + self.pong_within),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h18_a_silent_client_is_asked_once_and_then_given_up() {
        let at = Instant::from_secs;
        let mut keep_alive = KeepAlive::new(Duration::from_secs(20), Duration::from_secs(10), at(0));
        assert_eq!(keep_alive.due(), Due::Ping(at(20)));
        keep_alive.heard(at(5));
        assert_eq!(keep_alive.due(), Due::Ping(at(25)));
        keep_alive.pinged(at(26));
        assert_eq!(keep_alive.due(), Due::Dead(at(36)));
        keep_alive.heard(at(35));
        assert_eq!(keep_alive.due(), Due::Ping(at(55)));
    }

    #[test]
    fn for_ever_is_a_year() {
        let keep_alive = KeepAlive::new(Duration::MAX, Duration::MAX, Instant::from_secs(1));
        assert_eq!(keep_alive.due().at(), Instant::from_secs(365 * 24 * 3600 + 1));
    }
}
