//! A line for each request, in the Common Log Format that Apache, nginx and what reads their logs share.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;

use net_core::time::Clock;
use net_services::http::{Access, RequestLine, Status, date};

use crate::args;
use crate::clock::SystemClock;

/// Where the lines go.
pub(crate) struct AccessLog(RefCell<Box<dyn Write>>);

impl AccessLog {
    /// Opens what the command line asks for, if it does.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn open(to: &args::AccessLog) -> io::Result<Option<Self>> {
        let to: Box<dyn Write> = match to {
            args::AccessLog::Nowhere => return Ok(None),
            args::AccessLog::Stderr => Box::new(io::stderr()),
            args::AccessLog::File(path) => Box::new(File::options().append(true).create(true).open(path)?),
        };
        Ok(Some(Self(RefCell::new(to))))
    }

    /// Writes the line for this request.
    pub(crate) fn log(&self, access: &Access<'_>) {
        let line = Line {
            client: access.peer.ip(),
            time: Time::now(),
            request: access.request,
            status: access.status,
            bytes: access.body,
        };
        // In one piece, so that lines of several programs that share a file do not mix. A full disk does not end the
        // service.
        let _ = self.0.borrow_mut().write_all(format!("{line}\n").as_bytes());
    }
}

/// One line: `192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 1234`.
struct Line<'a> {
    client: IpAddr,
    time: Time,
    request: Option<RequestLine<'a>>,
    status: Option<Status>,
    bytes: u64,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - - [{}] ", self.client, self.time)?;
        match &self.request {
            Some(request) => write!(f, "\"{request}\" ")?,
            None => f.write_str("\"-\" ")?,
        }
        match self.status {
            Some(status) => write!(f, "{} ", status.code())?,
            None => f.write_str("- ")?,
        }
        if self.bytes == 0 { f.write_str("-") } else { write!(f, "{}", self.bytes) }
    }
}

/// A moment in UTC, as it is in an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
struct Time(Option<[u8; 29]>);

impl Time {
    fn now() -> Self {
        Self(SystemClock.now().map(date::write))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let mut words = text.split(' ').skip(1);
        let mut word = || words.next().unwrap_or("-");
        let (day, month, year, time) = (word(), word(), word(), word());
        write!(f, "{day}/{month}/{year}:{time} +0000")
    }
}

#[cfg(test)]
mod tests {
    use net_core::time::UnixTime;

    use super::*;

    #[test]
    fn lines_are_in_the_common_log_format() {
        let time = || Time(Some(date::write(UnixTime::from_secs(784_111_777))));
        let client = "192.0.2.1".parse().unwrap();
        let line = Line { client, time: time(), request: None, status: Some(Status::BAD_REQUEST), bytes: 11 };
        assert_eq!(line.to_string(), "192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] \"-\" 400 11");
        let client = "fd00::2".parse().unwrap();
        let line = Line { client, time: time(), request: None, status: None, bytes: 0 };
        assert_eq!(line.to_string(), "fd00::2 - - [06/Nov/1994:08:49:37 +0000] \"-\" - -");
    }
}
