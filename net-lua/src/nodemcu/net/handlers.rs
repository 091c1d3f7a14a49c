//! The functions that a script has given an object for its events.
//!
//! They are in a table that is the user value of the object, and not in Rust: so Lua's collector sees that a handler
//! refers to its own socket, and frees both together.

use alloc::string::String;

use mlua::{AnyUserData, Function, Lua, Table, Value};

use crate::binding::{Args, Outcome};

/// A Lua object around `inner`, with no handlers.
pub(super) fn object<T: 'static>(lua: &Lua, inner: T) -> mlua::Result<AnyUserData> {
    let object = lua.create_any_userdata(inner)?;
    object.set_user_value(lua.create_table()?)?;
    Ok(object)
}

pub(super) fn get(object: &AnyUserData, event: &str) -> mlua::Result<Option<Function>> {
    object.user_value::<Table>()?.raw_get(event)
}

pub(super) fn set(object: &AnyUserData, event: &str, handler: Option<Function>) -> mlua::Result<()> {
    object.user_value::<Table>()?.raw_set(event, handler)
}

/// Does `object:on(event, function | nil)` for the events in `known`; tells which event it was.
pub(super) fn on(args: &Args<'_>, object: &AnyUserData, known: &[&str]) -> Outcome<String> {
    let event = args.string(2)?.to_string_lossy();
    if !known.contains(&event.as_str()) {
        return Err("invalid callback name".into());
    }
    match args.get(3) {
        Value::Nil => set(object, &event, None)?,
        Value::Function(handler) => set(object, &event, Some(handler.clone()))?,
        _ => return Err("invalid callback function".into()),
    }
    Ok(event)
}
