//! An in-memory cable.
