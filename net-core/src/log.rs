//! One place that decides where log lines go: `defmt` on a chip, `log` on a computer, nowhere without either.
//!
//! The macros take what both understand: a format string and `{}` or `{:?}` arguments. With `defmt` an argument's
//! type must implement `defmt::Format`; where it does not, wrap it in `log::Show`.

/// Makes a `core::fmt::Display` value printable by `defmt` too.
#[allow(dead_code)] // which lines are compiled in depends on the features
pub(crate) struct Show<T>(pub(crate) T);

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

#[cfg(feature = "defmt")]
#[allow(unused_macros)] // which levels are used depends on the features
macro_rules! at_level {
    ($level:ident, $($arg:tt)*) => { ::defmt::$level!($($arg)*) };
}

#[cfg(all(feature = "log", not(feature = "defmt")))]
#[allow(unused_macros)] // which levels are used depends on the features
macro_rules! at_level {
    ($level:ident, $($arg:tt)*) => { ::log::$level!($($arg)*) };
}

#[cfg(not(any(feature = "log", feature = "defmt")))]
#[allow(unused_macros)] // which levels are used depends on the features
macro_rules! at_level {
    // The arguments are type-checked and then left out.
    ($level:ident, $($arg:tt)*) => {{ let _ = || { let _ = ::core::format_args!($($arg)*); }; }};
}

#[allow(unused_macros)]
macro_rules! trace { ($($arg:tt)*) => { at_level!(trace, $($arg)*) }; }
#[allow(unused_macros)]
macro_rules! debug { ($($arg:tt)*) => { at_level!(debug, $($arg)*) }; }
#[allow(unused_macros)]
macro_rules! info { ($($arg:tt)*) => { at_level!(info, $($arg)*) }; }
#[allow(unused_macros)]
macro_rules! warn { ($($arg:tt)*) => { at_level!(warn, $($arg)*) }; }
