//! The globals of every script: printing, loading, and what is taken away.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::binding::{Args, Binder, Outcome, Raise, with};
use crate::engine::{Engine, describe};
use crate::{nodemcu, os};

/// Where `require` looks first; scripts may set another `package.path`.
const PATH: &str = "?.lua;?/init.lua";

/// Sets all globals up.
pub(crate) fn open(lua: &Lua, engine: &Rc<Engine>) -> mlua::Result<()> {
    let binder = Binder::new(lua)?;
    let globals = lua.globals();

    // What reaches beyond the sandbox, or makes or takes bytecode. A state that was made elsewhere may have it all.
    for name in ["io", "debug", "package"] {
        globals.raw_set(name, Value::Nil)?;
    }
    globals.raw_get::<Table>("string")?.raw_set("dump", Value::Nil)?;
    let mut seed = [0; 16];
    engine.platform().random(&mut seed);
    let (a, b) = seed.split_at(8);
    let word = |bytes: &[u8]| bytes.iter().fold(0i64, |word, byte| word << 8 | i64::from(*byte));
    globals.raw_get::<Table>("math")?.raw_get::<Function>("randomseed")?.call::<()>((word(a), word(b)))?;

    globals.raw_set("print", binder.function(lua, "print", with(engine, print))?)?;
    globals.raw_set("load", binder.function(lua, "load", load_text)?)?;
    globals.raw_set("loadfile", binder.function(lua, "loadfile", with(engine, load_file))?)?;
    // `dofile` and `require` return what the file does, whether it waits in between or not: they are Lua.
    let (dofile, require): (Function, Function) = lua.load(LOADERS).set_name("=[lunet]").call(())?;
    globals.raw_set("dofile", dofile)?;
    globals.raw_set("require", require)?;

    let debug = lua.create_table()?;
    debug.raw_set("traceback", lua.create_function(traceback)?)?;
    globals.raw_set("debug", debug)?;
    let package = lua.create_table()?;
    let loaded = lua.create_table()?;
    package.raw_set("path", PATH)?;
    package.raw_set("preload", lua.create_table()?)?;
    package.raw_set("config", "/\n;\n?\n!\n-\n")?;
    package.raw_set("searchpath", binder.function(lua, "searchpath", with(engine, search_path))?)?;
    globals.raw_set("package", &package)?;

    os::open(lua, &binder, engine)?;
    nodemcu::open(lua, &binder, engine)?;

    for pair in globals.pairs::<String, Value>() {
        let (name, value) = pair?;
        if value.is_table() {
            loaded.raw_set(name, value)?;
        }
    }
    package.raw_set("loaded", loaded)
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

const LOADERS: &str = r#"
local loadfile, error, type, tostring = loadfile, error, type, tostring
local function dofile(path)
  local chunk, message = loadfile(path)
  if not chunk then error(message, 0) end
  return chunk()
end
local function require(name)
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  local package = package
  local loaded = package.loaded
  local value = loaded[name]
  if value ~= nil then return value end
  local where = ":preload:"
  local chunk = package.preload[name]
  if not chunk then
    local path, tried = package.searchpath(name, package.path)
    if not path then
      error("module '" .. name .. "' not found:\n\tno field package.preload['" .. name .. "']" .. tried, 2)
    end
    local message
    chunk, message = loadfile(path)
    if not chunk then
      error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t" .. tostring(message), 2)
    end
    where = path
  end
  value = chunk(name, where)
  if value ~= nil then
    loaded[name] = value
  elseif loaded[name] == nil then
    loaded[name] = true
  end
  return loaded[name], where
end
return dofile, require
"#;

/// A value as `tostring` gives it.
pub(crate) fn to_bytes(lua: &Lua, value: &Value) -> mlua::Result<Vec<u8>> {
    match value {
        // Not every string is UTF-8, and a float is to look like one.
        Value::String(_) | Value::Integer(_) | Value::Number(_) => {
            Ok(lua.coerce_string(value.clone())?.map_or_else(Vec::new, |string| string.as_bytes().to_vec()))
        }
        other => Ok(other.to_string()?.into_bytes()),
    }
}

/// `print(…)`: the values, with tabs between them, and a line end.
fn print(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<()> {
    let mut line = Vec::new();
    for (index, value) in args.from(1).enumerate() {
        if index > 0 {
            line.push(b'\t');
        }
        line.extend_from_slice(&to_bytes(args.lua, value)?);
    }
    line.push(b'\n');
    engine.platform().print(&line);
    Ok(())
}

/// `load(chunk [, chunkname [, mode [, env]]])`: as Lua's own, for text.
fn load_text(args: &Args<'_>) -> Outcome<MultiValue> {
    let mut source = Vec::new();
    match args.get(1) {
        Value::Function(reader) => loop {
            match reader.call::<Value>(())? {
                Value::Nil => break,
                Value::String(piece) if piece.as_bytes().is_empty() => break,
                Value::String(piece) => source.extend_from_slice(&piece.as_bytes()),
                _ => return Err("reader function must return a string".into()),
            }
        },
        _ => source.extend_from_slice(&args.string(1)?.as_bytes()),
    }
    let name = match args.is_nil(2) {
        true if matches!(args.get(1), Value::String(_)) => String::from_utf8_lossy(&source).into_owned(),
        true => "=(load)".into(),
        false => args.string(2)?.to_string_lossy(),
    };
    let env = (args.len() >= 4).then(|| args.get(4));
    compile(args.lua, &source, &name, args.get(3), env)
}

/// `loadfile(path [, mode [, env]])`.
fn load_file(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<MultiValue> {
    let path = args.string(1)?.to_string_lossy();
    let source = match engine.platform().files().read(&path) {
        Ok(source) => source,
        Err(error) => return failure(args.lua, &format!("cannot open {path}: {error}")),
    };
    compile(args.lua, &source, &format!("@{path}"), args.get(2), (args.len() >= 3).then(|| args.get(3)))
}

/// The function, or nil and a message.
fn compile(lua: &Lua, source: &[u8], name: &str, mode: &Value, env: Option<&Value>) -> Outcome<MultiValue> {
    let text_allowed = mode.is_nil() || mode.as_string().is_some_and(|mode| mode.as_bytes().contains(&b't'));
    if !text_allowed || source.first() == Some(&0x1b) {
        let kind = if text_allowed { "binary" } else { "text" };
        return failure(lua, &format!("attempt to load a {kind} chunk"));
    }
    let function = match load(lua, name, source) {
        Ok(function) => function,
        Err(error) => return failure(lua, &describe(&error)),
    };
    match env {
        None => {}
        Some(Value::Table(env)) => {
            function.set_environment(env.clone())?;
        }
        Some(_) => return Err(Raise::from("the environment of a chunk has to be a table")),
    }
    Ok([Value::Function(function)].into_iter().collect())
}

fn failure(lua: &Lua, message: &str) -> Outcome<MultiValue> {
    Ok([Value::Nil, Value::String(lua.create_string(message)?)].into_iter().collect())
}

/// `package.searchpath(name, path)`: the file's path, or nil and what was tried.
fn search_path(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<MultiValue> {
    let name = args.string(1)?.to_string_lossy().replace('.', "/");
    let templates = args.string(2)?.to_string_lossy();
    let mut tried = String::new();
    for template in templates.split(';') {
        let path = template.replace('?', &name);
        if engine.platform().files().read(&path).is_ok() {
            return Ok([Value::String(args.lua.create_string(&path)?)].into_iter().collect());
        }
        tried.push_str(&format!("\n\tno file '{path}'"));
    }
    failure(args.lua, &tried)
}

/// `debug.traceback([message [, level]])`.
fn traceback(lua: &Lua, (message, level): (Value, Option<usize>)) -> mlua::Result<Value> {
    match &message {
        Value::Nil => lua.traceback(None, level.unwrap_or(1)).map(Value::String),
        Value::String(text) => lua.traceback(Some(&text.to_string_lossy()), level.unwrap_or(1)).map(Value::String),
        _ => Ok(message),
    }
}
