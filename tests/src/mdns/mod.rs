//! Others that speak multicast DNS, for devices to meet: Avahi and python-zeroconf.

mod avahi;
mod zeroconf;

pub use avahi::Avahi;
pub use zeroconf::Zeroconf;
