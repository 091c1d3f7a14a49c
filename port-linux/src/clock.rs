//! The computer's clock.

use std::time::SystemTime;

use net_core::time::{Clock, UnixTime};

/// The computer's time of day, as a [`Clock`]. Nobody sets it: what a service that learns the time says to it is not
/// heard.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Option<UnixTime> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::from_micros(u64::try_from(now.as_micros()).ok()?))
    }

    fn set(&self, _: UnixTime) {}
}
