//! The device, as scripts see it.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use embassy_time::Duration;
use net_core::time::Clock;

use crate::Adapter;

/// What an adapter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ethernet.
    Eth,
    /// A Wi-Fi station: a client of somebody's network.
    Sta,
    /// A Wi-Fi access point: a network of the device's own.
    Ap,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// Worth knowing.
    Info,
    /// Something did not work, and the device goes on.
    Warn,
    /// A script failed.
    Error,
}

/// Everything that a port gives to scripts. One value of it lives as long as the [`Runtime`](crate::Runtime).
///
/// The methods are called on the runtime's own thread, between or within Lua calls; they return at once. None of
/// them may call back into the runtime.
pub trait Platform {
    /// The network interfaces, in order of preference: where nothing else decides (a subnet, a default router), the
    /// first one is used. The list does not change.
    fn adapters(&self) -> &[(Role, Rc<dyn Adapter>)];

    /// The time of day. Scripts may set it.
    fn clock(&self) -> &dyn Clock;

    /// The files that `require` and `dofile` see.
    fn files(&self) -> &dyn Files;

    /// What scripts and services keep over a restart.
    fn store(&self) -> &dyn Store;

    /// Fills `buffer` with random bytes that nobody can guess.
    fn random(&self, buffer: &mut [u8]);

    /// Writes what scripts print, line ends included, to the console. The bytes need not be UTF-8.
    fn print(&self, text: &[u8]);

    /// Writes one line (a traceback has several) to the log, without line end.
    fn log(&self, level: Level, message: &str);

    /// Does nothing for `time`, which is at most a second, while the rest of the device goes on if it can. For
    /// scripts that wait for a pin; the script and its network stand still.
    fn delay(&self, time: Duration);

    /// Whether the user wants the running script to be stopped (Ctrl-C); true once for each time that they do. Asked
    /// every few thousand instructions while Lua code runs, and never while it waits: then the port stops waiting
    /// by itself.
    fn interrupted(&self) -> bool {
        false
    }
}

/// A device's files. Paths have `/` between their parts and are relative to where scripts live, whether they begin
/// with `/` or not (a port for computers may take the latter as absolute).
pub trait Files {
    /// The whole content of a file.
    ///
    /// # Errors
    /// See [`FileError`].
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError>;

    /// Makes or replaces a file: afterwards it has either the old or the new content, never a mixture.
    ///
    /// # Errors
    /// See [`FileError`].
    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError>;

    /// What is in a directory, in no order; `""` is the top one.
    ///
    /// # Errors
    /// See [`FileError`].
    fn list(&self, directory: &str) -> Result<Vec<Entry>, FileError>;
}

/// One line of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory's.
    pub name: String,
    /// Bytes in it; 0 for a directory.
    pub size: u64,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Why a file could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// There is none of that name.
    NotFound,
    /// It is a directory, or not one.
    WrongKind,
    /// It may not be read or written.
    PermissionDenied,
    /// No room is left.
    Full,
    /// The path is not one: empty, or it leads outside.
    InvalidPath,
    /// The storage failed.
    Io,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "No such file or directory",
            Self::WrongKind => "Is a directory",
            Self::PermissionDenied => "Permission denied",
            Self::Full => "No space left on device",
            Self::InvalidPath => "Invalid path",
            Self::Io => "Input/output error",
        })
    }
}

impl core::error::Error for FileError {}

/// Named values that survive a restart.
pub trait Store {
    /// The value of `key`.
    fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Sets or, with `None`, removes the value of `key`. Keys have 1 to 15 bytes, values at most 4096.
    ///
    /// # Errors
    /// See [`FileError`].
    fn set(&self, key: &str, value: Option<&[u8]>) -> Result<(), FileError>;
}
