//! lunet on Linux.
