//! Standard output and error, while a prompt may be waiting for its line in the middle of them.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Prints above the line that is being typed.
pub(crate) type AbovePrompt = Box<dyn FnMut(String) -> bool + Send>;

static ABOVE_PROMPT: Mutex<Option<AbovePrompt>> = Mutex::new(None);

/// From now on all output goes above the prompt's line; with `None`, straight out again.
pub(crate) fn set_prompt(above: Option<AbovePrompt>) {
    *ABOVE_PROMPT.lock().unwrap_or_else(PoisonError::into_inner) = above;
}

/// Whether the prompt has printed it.
fn above_prompt(text: &[u8]) -> bool {
    let mut above = ABOVE_PROMPT.lock().unwrap_or_else(PoisonError::into_inner);
    above.as_mut().is_some_and(|print| print(String::from_utf8_lossy(text).into_owned()))
}

/// Writes bytes to standard output, at once.
pub(crate) fn print(text: &[u8]) {
    if !above_prompt(text) {
        let mut out = io::stdout().lock();
        // Whoever read our output may have gone; the device goes on without.
        let _ = out.write_all(text).and_then(|()| out.flush());
    }
}

/// Writes `lunet: ` and the message as a line to standard error.
pub(crate) fn tell(message: impl fmt::Display) {
    let line = format!("lunet: {message}\n");
    if !above_prompt(line.as_bytes()) {
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// The log of the whole workspace, on standard error.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = match record.level() {
                log::Level::Error => "error",
                log::Level::Warn => "warning",
                log::Level::Info => "info",
                log::Level::Debug => "debug",
                log::Level::Trace => "trace",
            };
            // Where a line comes from interests only those who look for a fault.
            if record.level() <= log::Level::Info {
                tell(format_args!("{level}: {}", record.args()));
            } else {
                tell(format_args!("{level}: {}: {}", record.target(), record.args()));
            }
        }
    }

    fn flush(&self) {}
}

/// Sends the log to standard error: warnings, with 1 also debug lines, with 2 everything.
pub(crate) fn start_log(verbose: u8) {
    log::set_max_level(match verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    });
    // Only a second call could fail.
    let _ = log::set_logger(&Logger);
}
