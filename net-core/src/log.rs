//! One place that decides where the log lines of all crates here go: `defmt` on a chip, `log` on a computer, nowhere
//! without either. Not for use from outside.
//!
//! The macros take what both understand: a format string and `{}` or `{:?}` arguments. With `defmt` an argument's
//! type must implement `defmt::Format`; where it does not, wrap it in [`Show`].

/// Makes a `core::fmt::Display` value printable by `defmt` too.
#[derive(Debug)]
pub struct Show<T>(pub T);

impl<T: core::fmt::Display> core::fmt::Display for Show<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl<T: core::fmt::Display> defmt::Format for Show<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(&self.0));
    }
}

// What the macros expand to must be found from other crates, which need not depend on these themselves.
#[cfg(feature = "defmt")]
pub use ::defmt as backend;
#[cfg(all(feature = "log", not(feature = "defmt")))]
pub use ::log as backend;

#[cfg(feature = "defmt")]
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    // The macros of defmt look for a crate of that name.
    ($level:ident, $($arg:tt)*) => {{ use $crate::log::backend as defmt; defmt::$level!($($arg)*) }};
}

#[cfg(all(feature = "log", not(feature = "defmt")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($arg:tt)*) => { $crate::log::backend::$level!($($arg)*) };
}

#[cfg(not(any(feature = "log", feature = "defmt")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    // The arguments are type-checked and then left out.
    ($level:ident, $($arg:tt)*) => {{ let _ = || { let _ = ::core::format_args!($($arg)*); }; }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __trace { ($($arg:tt)*) => { $crate::__log!(trace, $($arg)*) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __debug { ($($arg:tt)*) => { $crate::__log!(debug, $($arg)*) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __info { ($($arg:tt)*) => { $crate::__log!(info, $($arg)*) }; }
#[doc(hidden)]
#[macro_export]
macro_rules! __warn { ($($arg:tt)*) => { $crate::__log!(warn, $($arg)*) }; }

pub use {__debug as debug, __info as info, __trace as trace, __warn as warn};
