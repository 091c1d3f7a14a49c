//! Runs scripts.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;

use embassy_time::{Duration, with_timeout};
use mlua::chunk::ChunkMode;
use mlua::{Error, Function, IntoLua, Lua, LuaOptions, MultiValue, StdLib, Value};

use crate::engine::{Engine, Kind, Stop, describe};
use crate::platform::Platform;
use crate::{base, limits};

/// How long [`Runtime::shutdown`] gives open connections to deliver what was sent.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What a runtime may use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Bytes that Lua may allocate; beyond it scripts get `not enough memory`. No limit with `None`, as at first. Has no
    /// effect on a state that was made elsewhere ([`Runtime::with_lua`]).
    pub memory_limit: Option<usize>,
    /// Whether [`Platform::interrupted`] is asked while Lua code runs, as at first. Without it nothing stops a script
    /// that loops without end, but Lua code that only computes runs 2.5 times as fast.
    pub interruptible: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory_limit: None, interruptible: true }
    }
}

impl Options {
    /// With a limit for Lua's memory, in bytes.
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Interruptible or not.
    #[must_use]
    pub fn interruptible(mut self, interruptible: bool) -> Self {
        self.interruptible = interruptible;
        self
    }
}

/// Why running a script has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// It ran to its end, and nothing is left to wait for.
    Finished,
    /// Its main part failed; the message has a traceback. (An error in a callback does not end a script.)
    Failed(String),
    /// [`Runtime::stop`] was called, or [`Platform::interrupted`] said so.
    Stopped,
    /// The script wants the device to restart.
    Restart,
}

/// What became of a line of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Eval {
    /// It ran; its values, if any, have been printed.
    Done,
    /// It is the beginning of something: call again with it, a line end and the next line.
    Incomplete,
    /// It failed; the message has a traceback.
    Failed(String),
    /// [`Platform::interrupted`] said so while it ran.
    Interrupted,
    /// [`Runtime::stop`] was called or a script wants the device to restart: see [`Runtime::run_until_idle`].
    Stopped(Exit),
}

/// A Lua state with the modules of this crate, and everything that scripts in it have opened.
///
/// Its async methods drive all of it: sockets, timers, callbacks. Between their calls nothing moves. Only one of
/// their futures may be polled at a time; each may be dropped at any point and another one made, which goes on where
/// the first one was:
///
/// ```
/// # use net_lua::{Eval, Runtime};
/// # async fn next_line() -> String { String::new() }
/// # use embassy_futures::select::{Either, select};
/// async fn prompt(runtime: &Runtime) {
///     let mut chunk = String::new();
///     loop {
///         // The network runs on while the user types.
///         let Either::First(line) = select(next_line(), runtime.run()).await else { return };
///         chunk.push_str(&line);
///         match runtime.eval(&chunk).await {
///             Eval::Incomplete => chunk.push('\n'),
///             _ => chunk.clear(),
///         }
///     }
/// }
/// ```
pub struct Runtime {
    engine: Rc<Engine>,
    lua: Lua,
}

impl Runtime {
    /// A runtime with a Lua state of its own.
    ///
    /// # Errors
    /// When memory, or the limit for it, does not suffice for the modules.
    pub fn new(platform: Rc<dyn Platform>, options: Options) -> Result<Self, Error> {
        let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new().thread_pool_size(limits::IDLE_THREADS))?;
        if let Some(bytes) = options.memory_limit {
            lua.set_memory_limit(bytes)?;
        }
        Self::with_lua(lua, platform, options)
    }

    /// A runtime in a Lua state made elsewhere, such as one with an allocator of the firmware's own. It has the base
    /// library and at least `coroutine`, `table`, `string`, `utf8` and `math`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lua(lua: Lua, platform: Rc<dyn Platform>, options: Options) -> Result<Self, Error> {
        let engine = Rc::new(Engine::new(platform.clone()));
        if options.interruptible {
            engine.watch(&lua)?;
        }
        base::open(&lua, &engine)?;
        for (_, adapter) in platform.adapters() {
            let adapter = adapter.clone();
            engine.spawn(Kind::Background, async move { adapter.run().await });
        }
        Ok(Self { engine, lua })
    }

    /// The Lua state, to add modules of one's own.
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// Runs a file of the platform's with `arguments` (in `...`, and in the global table `arg`, where the path is at 0),
    /// then everything that it has started, until nothing is left to wait for: no open socket, no listener, no armed
    /// timer, no name being looked up.
    pub async fn run_file(&self, path: &str, arguments: &[&str]) -> Exit {
        match self.engine.platform().files().read(path) {
            Ok(source) => self.run_chunk(path, &source, arguments).await,
            Err(error) => Exit::Failed(format!("cannot open {path}: {error}")),
        }
    }

    /// As [`run_file`](Self::run_file), with the text of the file at hand; `path` is what messages call it.
    pub async fn run_chunk(&self, path: &str, source: &[u8], arguments: &[&str]) -> Exit {
        let (function, arguments) = match self.prepare(path, source, arguments) {
            Ok(prepared) => prepared,
            Err(error) => return Exit::Failed(describe(&error)),
        };
        match self.engine.call(&self.lua, function, arguments).await {
            Err(stop) => stop.into(),
            Ok(Err(_)) if self.engine.take_interrupted() => Exit::Stopped,
            Ok(Err(error)) => Exit::Failed(describe(&error)),
            Ok(Ok(_)) => self.run_until_idle().await,
        }
    }

    fn prepare(&self, path: &str, source: &[u8], arguments: &[&str]) -> mlua::Result<(Function, MultiValue)> {
        let function = base::load(&self.lua, &format!("@{path}"), source)?;
        let arg = self.lua.create_table()?;
        arg.raw_set(0, path)?;
        let mut values = MultiValue::new();
        for (index, argument) in arguments.iter().enumerate() {
            arg.raw_set(index + 1, *argument)?;
            values.push_back(argument.into_lua(&self.lua)?);
        }
        self.lua.globals().raw_set("arg", arg)?;
        Ok((function, values))
    }

    /// Drives everything until nothing is left to wait for.
    pub async fn run_until_idle(&self) -> Exit {
        self.engine.drive_until_idle(&self.lua).await.map_or(Exit::Finished, Exit::from)
    }

    /// Drives everything, also while there is nothing to wait for: for a prompt that waits for its next line.
    /// [`Platform::interrupted`] ends a callback that does not end by itself, but not this.
    pub async fn run(&self) -> Exit {
        let stop = |engine: &Engine| {
            engine.take_interrupted();
            engine.take_stop()
        };
        self.engine.drive(&self.lua, stop).await.into()
    }

    /// Runs what was typed at a prompt. An expression's values are printed.
    pub async fn eval(&self, source: &str) -> Eval {
        let compile = |source: &str| self.lua.load(source).set_name("=stdin").set_mode(ChunkMode::Text).into_function();
        let function = match compile(&format!("return {source}")).or_else(|_| compile(source)) {
            Ok(function) => function,
            Err(Error::SyntaxError { incomplete_input: true, .. }) => return Eval::Incomplete,
            Err(error) => return Eval::Failed(describe(&error)),
        };
        match self.engine.call(&self.lua, function, MultiValue::new()).await {
            Err(stop) => Eval::Stopped(stop.into()),
            Ok(Err(_)) if self.engine.take_interrupted() => Eval::Interrupted,
            Ok(Err(error)) => Eval::Failed(describe(&error)),
            Ok(Ok(values)) => match self.print(values) {
                Ok(()) => Eval::Done,
                Err(error) => Eval::Failed(describe(&error)),
            },
        }
    }

    /// Prints with the global `print`, as Lua's own prompt does.
    fn print(&self, values: MultiValue) -> mlua::Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        match self.lua.globals().raw_get("print")? {
            Value::Function(print) => print.call(values),
            _ => Ok(()),
        }
    }

    /// Makes the future that drives the runtime end with [`Exit::Stopped`], once no Lua code runs.
    pub fn stop(&self) {
        self.engine.stop(Stop::Asked);
    }

    /// Ends all timers, listeners and lookups, closes all sockets in order, and waits up to five seconds until what was
    /// sent has arrived. No callback runs any more. Then drop the runtime.
    pub async fn shutdown(&self) {
        if with_timeout(SHUTDOWN, self.engine.close(&self.lua)).await.is_err() {
            self.engine.clear();
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Tasks and jobs refer to Lua values: they go while Lua is still there.
        self.engine.clear();
    }
}

impl core::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl From<Stop> for Exit {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Asked => Self::Stopped,
            Stop::Restart => Self::Restart,
        }
    }
}
