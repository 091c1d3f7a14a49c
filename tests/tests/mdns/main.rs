//! Multicast DNS among those that people have: Avahi, python-zeroconf, dig, and ours.

mod world;
