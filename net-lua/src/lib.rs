//! The Lua bindings.
