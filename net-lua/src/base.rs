//! The globals of every script: printing and loading.

use alloc::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua};

use crate::engine::Engine;

pub(crate) fn open(_lua: &Lua, _engine: &Rc<Engine>) -> mlua::Result<()> {
    Ok(())
}

/// Compiles a script: text only, since crafted bytecode can do anything. A first line with `#` is left out.
pub(crate) fn load(lua: &Lua, name: &str, source: &[u8]) -> mlua::Result<Function> {
    let source = match source {
        // The line end stays, so that line numbers do.
        [b'#', rest @ ..] => rest.iter().position(|byte| *byte == b'\n').map_or(&[][..], |end| &rest[end..]),
        source => source,
    };
    lua.load(source).set_name(name).set_mode(ChunkMode::Text).into_function()
}
