//! The API of the NodeMCU firmware: `net`, `tmr`, `node`.

use alloc::rc::Rc;

use mlua::{Lua, Value};

use crate::binding::{Args, Binder, Outcome, with};
use crate::engine::{Engine, Stop};

mod net;
mod tmr;

pub(crate) fn open(lua: &Lua, binder: &Binder, engine: &Rc<Engine>) -> mlua::Result<()> {
    let node = binder.module(lua)?;
    node.function("restart", with(engine, restart))?.function("onerror", with(engine, on_error))?;
    lua.globals().raw_set("node", node.finish())?;
    tmr::open(lua, binder, engine)?;
    net::open(lua, binder, engine)
}

/// `node.restart()`: once the code that runs now has returned.
fn restart(engine: &Rc<Engine>, _: &Args<'_>) -> Outcome<()> {
    engine.stop(Stop::Restart);
    Ok(())
}

/// `node.onerror(function(message))`: what is called when a callback fails, instead of the log; nil for the log again.
fn on_error(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<()> {
    match args.get(1) {
        Value::Nil => engine.set_on_error(None),
        _ => engine.set_on_error(Some(args.function(1)?)),
    }
    Ok(())
}
