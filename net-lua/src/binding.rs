//! Rust functions for Lua: checked arguments, and errors as Lua's own functions raise them.
//!
//! An `Err` of an mlua callback reaches a script as a userdata value, on which `err:match(…)` fails, and mlua's argument
//! errors are worded in its own way. Scripts written for the original firmware expect strings with the script's line in
//! front, so the functions of our modules come with a few lines of Lua around them that call `error`.

use alloc::borrow::Cow;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use mlua::{AnyUserData, Function, IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use crate::engine::describe;

/// What a function of ours raises.
#[derive(Debug)]
pub(crate) struct Raise(Cow<'static, str>);

/// What a function of ours returns.
pub(crate) type Outcome<T> = Result<T, Raise>;

impl From<&'static str> for Raise {
    fn from(message: &'static str) -> Self {
        Self(Cow::Borrowed(message))
    }
}

impl From<String> for Raise {
    fn from(message: String) -> Self {
        Self(Cow::Owned(message))
    }
}

impl From<mlua::Error> for Raise {
    fn from(error: mlua::Error) -> Self {
        Self(Cow::Owned(describe(&error)))
    }
}

/// The Lua side of every function. The tail call takes its own frame off the stack, so that level 2 is the script.
const WRAP: &str = "
local error = error
local function finish(ok, ...)
  if ok then return ... end
  error((...), 2)
end
return function(f)
  return function(...) return finish(f(...)) end
end";

/// Makes functions.
#[derive(Clone)]
pub(crate) struct Binder {
    wrap: Function,
}

impl Binder {
    pub(crate) fn new(lua: &Lua) -> mlua::Result<Self> {
        Ok(Self { wrap: lua.load(WRAP).set_name("=[lunet]").call(())? })
    }

    /// The Lua function `name` (for messages) that does `function`.
    pub(crate) fn function<R: IntoLuaMulti>(
        &self,
        lua: &Lua,
        name: &'static str,
        function: impl Fn(&Args<'_>) -> Outcome<R> + 'static,
    ) -> mlua::Result<Function> {
        let inner =
            lua.create_function(move |lua, values: MultiValue| match function(&Args { lua, name, values }) {
                Ok(results) => {
                    let mut results = results.into_lua_multi(lua)?;
                    results.push_front(Value::Boolean(true));
                    Ok(results)
                }
                Err(Raise(message)) => (false, &*message).into_lua_multi(lua),
            })?;
        self.wrap.call(inner)
    }

    /// An empty module.
    pub(crate) fn module<'a>(&'a self, lua: &'a Lua) -> mlua::Result<Module<'a>> {
        Ok(Module { binder: self, lua, table: lua.create_table()? })
    }
}

/// A table of functions and constants that is being filled.
pub(crate) struct Module<'a> {
    binder: &'a Binder,
    lua: &'a Lua,
    table: Table,
}

impl Module<'_> {
    /// Adds a function.
    pub(crate) fn function<R: IntoLuaMulti>(
        &self,
        name: &'static str,
        function: impl Fn(&Args<'_>) -> Outcome<R> + 'static,
    ) -> mlua::Result<&Self> {
        self.table.raw_set(name, self.binder.function(self.lua, name, function)?)?;
        Ok(self)
    }

    /// Adds a constant.
    pub(crate) fn value(&self, name: &str, value: impl IntoLua) -> mlua::Result<&Self> {
        self.table.raw_set(name, value)?;
        Ok(self)
    }

    /// The table.
    pub(crate) fn finish(self) -> Table {
        self.table
    }

    /// Makes the functions the methods of the userdata type `T`, which Lua calls `name`.
    pub(crate) fn finish_class<T: 'static>(self, name: &'static str) -> mlua::Result<()> {
        use mlua::UserDataFields;

        let methods = self.table;
        self.lua.register_userdata_type::<T>(|registry| {
            registry.add_meta_field("__index", methods);
            registry.add_meta_field("__name", name);
        })
    }
}

/// The arguments of a call, numbered from 1.
pub(crate) struct Args<'a> {
    pub(crate) lua: &'a Lua,
    name: &'static str,
    values: MultiValue,
}

impl Args<'_> {
    /// How many were given.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The argument, or nil.
    pub(crate) fn get(&self, index: usize) -> &Value {
        const NIL: &Value = &Value::Nil;
        self.values.get(index.wrapping_sub(1)).unwrap_or(NIL)
    }

    /// Those from `index` on.
    pub(crate) fn from(&self, index: usize) -> impl Iterator<Item = &Value> {
        self.values.iter().skip(index.saturating_sub(1))
    }

    /// Whether it is nil or was not given.
    pub(crate) fn is_nil(&self, index: usize) -> bool {
        self.get(index).is_nil()
    }

    /// An integer, or a float or a string that stands for one.
    pub(crate) fn integer(&self, index: usize) -> Outcome<i64> {
        match self.lua.coerce_integer(self.get(index).clone())? {
            Some(integer) => Ok(integer),
            None if self.lua.coerce_number(self.get(index).clone())?.is_some() => {
                Err(self.bad(index, "number has no integer representation"))
            }
            None => Err(self.expected(index, "number")),
        }
    }

    /// An integer within `range`; `what` is what it is.
    pub(crate) fn integer_in(&self, index: usize, range: core::ops::RangeInclusive<i64>, what: &str) -> Outcome<i64> {
        let integer = self.integer(index)?;
        if range.contains(&integer) { Ok(integer) } else { Err(self.bad(index, &format!("{what} out of range"))) }
    }

    /// A string, or a number as one.
    pub(crate) fn string(&self, index: usize) -> Outcome<LuaString> {
        match self.get(index) {
            value @ (Value::String(_) | Value::Integer(_) | Value::Number(_)) => {
                self.lua.coerce_string(value.clone())?.ok_or_else(|| self.expected(index, "string"))
            }
            _ => Err(self.expected(index, "string")),
        }
    }

    /// A function.
    pub(crate) fn function(&self, index: usize) -> Outcome<Function> {
        match self.get(index) {
            Value::Function(function) => Ok(function.clone()),
            _ => Err(self.expected(index, "function")),
        }
    }

    /// A function, nil or nothing.
    pub(crate) fn optional_function(&self, index: usize) -> Outcome<Option<Function>> {
        if self.is_nil(index) { Ok(None) } else { self.function(index).map(Some) }
    }

    /// The object on which a method is called, and what is in it. Another object, or none, raises `invalid user data`.
    pub(crate) fn this<T: Clone + 'static>(&self) -> Outcome<(AnyUserData, T)> {
        let Value::UserData(userdata) = self.get(1) else { return Err("invalid user data".into()) };
        match userdata.borrow::<T>() {
            Ok(inner) => Ok((userdata.clone(), inner.clone())),
            Err(_) => Err("invalid user data".into()),
        }
    }

    /// `bad argument #index to 'name' (message)`; in a method call the object is not counted.
    pub(crate) fn bad(&self, index: usize, message: &str) -> Raise {
        // Level 0 is the Rust function, level 1 the Lua function around it.
        let is_method = self.lua.inspect_stack(1, |frame| frame.names().name_what == Some("method")) == Some(true);
        let name = self.name;
        match index - usize::from(is_method && index > 0) {
            0 => format!("calling '{name}' on bad self ({message})").into(),
            index => format!("bad argument #{index} to '{name}' ({message})").into(),
        }
    }

    /// `bad argument #index to 'name' (expected expected, got type)`.
    pub(crate) fn expected(&self, index: usize, expected: &str) -> Raise {
        let got = if index > self.len() { "no value" } else { self.get(index).type_name() };
        // Lua knows one kind of number.
        let got = if got == "integer" { "number" } else { got };
        self.bad(index, &format!("{expected} expected, got {got}"))
    }
}

/// Calls `function` with `shared` first: most functions of a module share something.
pub(crate) fn with<S: 'static, R>(
    shared: &Rc<S>,
    function: impl Fn(&Rc<S>, &Args<'_>) -> Outcome<R> + 'static,
) -> impl Fn(&Args<'_>) -> Outcome<R> + 'static {
    let shared = shared.clone();
    move |args| function(&shared, args)
}
