//! What drives everything: the tasks that wait, and the queue of Lua calls that they ask for.
//!
//! A **task** is a boxed future that waits for a socket, a timer or a name. It never runs Lua; it leaves a **job**,
//! and the engine runs jobs one after another, each to its end, so no callback ever begins within another. The two
//! share plain cells, and need nothing to wake each other:
//! - after any Lua code has run, every task is polled, so a task may wait for a cell that Lua code sets
//!   ([`until`]);
//! - a job that is left is run soon after.
//!
//! All tasks are polled whenever one is woken. There are as many as there are open sockets and armed timers: few.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::mem;
use core::task::{Context, Poll, Waker};

use mlua::{Error, Function, HookTriggers, IntoLuaMulti, Lua, MultiValue, VmState};

use crate::adapter::LocalFuture;
use crate::limits;
use crate::platform::{Level, Platform};

/// Decides, when its turn has come, what is called, if anything.
type Job = Box<dyn FnOnce(&Lua) -> mlua::Result<Option<Call>>>;
/// What happens with the outcome of a call.
type Then = Box<dyn FnOnce(mlua::Result<MultiValue>)>;

/// A Lua function to be called.
pub(crate) struct Call {
    function: Function,
    arguments: MultiValue,
    then: Option<Then>,
}

impl Call {
    /// A call whose results are ignored and whose error is reported.
    pub(crate) fn new(lua: &Lua, function: Function, arguments: impl IntoLuaMulti) -> mlua::Result<Self> {
        Ok(Self { function, arguments: arguments.into_lua_multi(lua)?, then: None })
    }

    /// Hands the outcome to `then`.
    pub(crate) fn then(mut self, then: impl FnOnce(mlua::Result<MultiValue>) + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }
}

/// What a task means for the end of a script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The script waits for it; at shutdown it is dropped.
    Waits,
    /// The script waits for it; at shutdown it sees [`Engine::is_closing`] and ends by itself.
    Closes,
    /// Nobody waits for it.
    Background,
}

struct Task {
    kind: Kind,
    future: LocalFuture<'static, ()>,
}

type StoppableFuture = Rc<RefCell<Option<LocalFuture<'static, ()>>>>;

/// Ends a task. Only for Lua code: no task may be polled meanwhile.
pub(crate) struct Stopper(Weak<RefCell<Option<LocalFuture<'static, ()>>>>);

impl Stopper {
    /// Drops the task's future.
    pub(crate) fn stop(&self) {
        if let Some(place) = self.0.upgrade()
            && let Ok(mut future) = place.try_borrow_mut()
        {
            *future = None;
        }
    }
}

struct Running {
    future: LocalFuture<'static, mlua::Result<MultiValue>>,
    then: Option<Then>,
}

/// Why running should end early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The port or the user wants it.
    Asked,
    /// The script wants the device to restart.
    Restart,
}

pub(crate) struct Engine {
    platform: Rc<dyn Platform>,
    tasks: RefCell<Vec<Task>>,
    jobs: RefCell<VecDeque<Job>>,
    running: RefCell<Option<Running>>,
    waker: RefCell<Option<Waker>>,
    closing: Cell<bool>,
    interrupted: Cell<bool>,
    stop: Cell<Option<Stop>>,
    /// `node.onerror`'s function.
    on_error: RefCell<Option<Function>>,
}

impl Engine {
    pub(crate) fn new(platform: Rc<dyn Platform>) -> Self {
        Self {
            platform,
            tasks: RefCell::default(),
            jobs: RefCell::default(),
            running: RefCell::default(),
            waker: RefCell::default(),
            closing: Cell::new(false),
            interrupted: Cell::new(false),
            stop: Cell::new(None),
            on_error: RefCell::default(),
        }
    }

    pub(crate) fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    /// Adds a task. It is polled for the first time after the Lua code that runs now.
    pub(crate) fn spawn(&self, kind: Kind, future: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Task { kind, future: Box::pin(future) });
    }

    /// Adds a task that [`Waits`](Kind::Waits) and can be ended at once, so that what it holds is free before the
    /// Lua code that ends it goes on.
    pub(crate) fn spawn_stoppable(&self, future: impl Future<Output = ()> + 'static) -> Stopper {
        let place: StoppableFuture = Rc::new(RefCell::new(Some(Box::pin(future))));
        let stopper = Stopper(Rc::downgrade(&place));
        self.spawn(
            Kind::Waits,
            poll_fn(move |cx| {
                let mut future = place.borrow_mut();
                let poll = future.as_mut().map_or(Poll::Ready(()), |future| future.as_mut().poll(cx));
                if poll.is_ready() {
                    *future = None;
                }
                poll
            }),
        );
        stopper
    }

    /// Adds a job behind those that wait.
    pub(crate) fn post(&self, job: impl FnOnce(&Lua) -> mlua::Result<Option<Call>> + 'static) {
        self.jobs.borrow_mut().push_back(Box::new(job));
    }

    /// Whether the runtime shuts down.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Asks the futures of the runtime to end.
    pub(crate) fn stop(&self, why: Stop) {
        self.stop.set(Some(why));
        self.wake();
    }

    /// Takes the wish to stop.
    pub(crate) fn take_stop(&self) -> Option<Stop> {
        self.stop.take()
    }

    /// Whether the code that ran last was interrupted; forgets it.
    pub(crate) fn take_interrupted(&self) -> bool {
        self.interrupted.take()
    }

    pub(crate) fn set_on_error(&self, function: Option<Function>) {
        *self.on_error.borrow_mut() = function;
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether nothing is left to wait for.
    fn is_idle(&self) -> bool {
        self.running.borrow().is_none()
            && self.jobs.borrow().is_empty()
            && self.tasks.borrow().iter().all(|task| task.kind == Kind::Background)
    }

    fn has_jobs(&self) -> bool {
        self.running.borrow().is_none() && !self.jobs.borrow().is_empty()
    }

    fn poll_tasks(&self, cx: &mut Context<'_>) {
        // Taken out of the cell while polled: a task may add others.
        let mut tasks = mem::take(&mut *self.tasks.borrow_mut());
        tasks.retain_mut(|task| task.future.as_mut().poll(cx).is_pending());
        loop {
            let mut added = mem::take(&mut *self.tasks.borrow_mut());
            if added.is_empty() {
                break;
            }
            added.retain_mut(|task| task.future.as_mut().poll(cx).is_pending());
            tasks.append(&mut added);
        }
        *self.tasks.borrow_mut() = tasks;
    }

    /// Runs at most `limit` jobs; how many it was.
    fn run_jobs(&self, lua: &Lua, cx: &mut Context<'_>, limit: usize) -> usize {
        let mut count = 0;
        while count < limit {
            let running = self.running.borrow_mut().take();
            let mut running = match running {
                Some(running) => running,
                None => {
                    let Some(job) = self.jobs.borrow_mut().pop_front() else { break };
                    count += 1;
                    if self.closing.get() {
                        // No script hears anything any more.
                        continue;
                    }
                    match job(lua) {
                        Ok(Some(Call { function, arguments, then })) => {
                            Running { future: Box::pin(function.call_async(arguments)), then }
                        }
                        Ok(None) => continue,
                        Err(error) => {
                            self.report(&error);
                            continue;
                        }
                    }
                }
            };
            match running.future.as_mut().poll(cx) {
                Poll::Pending => {
                    *self.running.borrow_mut() = Some(running);
                    break;
                }
                Poll::Ready(outcome) => {
                    // Its thread goes back to the pool before anything else runs.
                    drop(running.future);
                    match (running.then, outcome) {
                        (Some(then), outcome) => then(outcome),
                        (None, Ok(_)) => {}
                        (None, Err(error)) => self.callback_failed(&error),
                    }
                }
            }
        }
        count
    }

    /// One turn: the jobs that wait, and the tasks.
    fn turn(&self, lua: &Lua, cx: &mut Context<'_>) {
        let mut left = limits::CALLBACKS_PER_TURN;
        loop {
            left -= self.run_jobs(lua, cx, left);
            self.poll_tasks(cx);
            if !self.has_jobs() {
                return;
            }
            if left == 0 {
                // Others, the network stack above all, come first.
                cx.waker().wake_by_ref();
                return;
            }
        }
    }

    /// Drives everything until `done` says so.
    pub(crate) async fn drive<T>(&self, lua: &Lua, mut done: impl FnMut(&Self) -> Option<T>) -> T {
        poll_fn(|cx| {
            if !self.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
            }
            self.turn(lua, cx);
            match done(self) {
                Some(value) => Poll::Ready(value),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Drives everything until nothing is left to wait for, or somebody wants to stop.
    pub(crate) async fn drive_until_idle(&self, lua: &Lua) -> Option<Stop> {
        self.drive(lua, |engine| {
            let interrupted = engine.take_interrupted().then_some(Stop::Asked);
            let stop = engine.take_stop().or(interrupted);
            (stop.is_some() || engine.is_idle()).then_some(stop)
        })
        .await
    }

    /// Calls `function` in its turn, and drives everything until it has returned. `None` when somebody wants to stop
    /// first.
    pub(crate) async fn call(
        self: &Rc<Self>,
        lua: &Lua,
        function: Function,
        arguments: MultiValue,
    ) -> Result<mlua::Result<MultiValue>, Stop> {
        let outcome = Rc::new(RefCell::new(None));
        let place = outcome.clone();
        self.post(move |lua| {
            let call = Call::new(lua, function, arguments)?;
            Ok(Some(call.then(move |result| *place.borrow_mut() = Some(result))))
        });
        self.drive(lua, |engine| {
            if let Some(stop) = engine.take_stop() {
                return Some(Err(stop));
            }
            outcome.borrow_mut().take().map(Ok)
        })
        .await
    }

    /// Ends what waits and drives the rest until it has closed; the caller sets a limit.
    pub(crate) async fn close(&self, lua: &Lua) {
        self.closing.set(true);
        let (closing, ended) =
            mem::take(&mut *self.tasks.borrow_mut()).into_iter().partition(|t| t.kind == Kind::Closes);
        let ended: Vec<Task> = ended;
        *self.tasks.borrow_mut() = closing;
        let jobs = mem::take(&mut *self.jobs.borrow_mut());
        let running = self.running.borrow_mut().take();
        // Dropping may run Lua code (to-be-closed variables), so nothing is borrowed meanwhile.
        drop((running, jobs, ended));
        self.drive(lua, |engine| engine.is_idle().then_some(())).await;
        self.clear();
    }

    /// Drops everything. Afterwards nothing here refers to Lua.
    pub(crate) fn clear(&self) {
        let running = self.running.borrow_mut().take();
        let jobs = mem::take(&mut *self.jobs.borrow_mut());
        let tasks = mem::take(&mut *self.tasks.borrow_mut());
        let on_error = self.on_error.borrow_mut().take();
        drop((running, jobs, tasks, on_error));
        self.closing.set(false);
    }

    /// A callback ended with an error: tells `node.onerror`'s function, or the log.
    fn callback_failed(&self, error: &Error) {
        let Some(handler) = self.on_error.borrow().clone() else { return self.report(error) };
        let text = describe(error);
        // An error in the handler goes to the log: it is posted with an outcome of its own.
        let platform = self.platform.clone();
        self.post(move |lua| {
            let call = Call::new(lua, handler, text)?;
            Ok(Some(call.then(move |outcome| {
                if let Err(error) = outcome {
                    platform.log(Level::Error, &describe(&error));
                }
            })))
        });
    }

    /// Writes an error with its traceback to the log.
    pub(crate) fn report(&self, error: &Error) {
        self.platform.log(Level::Error, &describe(error));
    }

    /// Lets the platform interrupt Lua code.
    pub(crate) fn watch(self: &Rc<Self>, lua: &Lua) -> mlua::Result<()> {
        let engine = Rc::downgrade(self);
        let triggers = HookTriggers::new().every_nth_instruction(limits::INSTRUCTIONS_PER_LOOK);
        lua.set_global_hook(triggers, move |lua, _| {
            let Some(engine) = engine.upgrade() else { return Ok(VmState::Continue) };
            if !engine.interrupted.get() && !engine.platform.interrupted() {
                return Ok(VmState::Continue);
            }
            engine.interrupted.set(true);
            // A `pcall` must not keep a loop alive: from here on this thread fails at every instruction, until whoever
            // runs the code takes note.
            let engine = Rc::downgrade(&engine);
            lua.set_hook(HookTriggers::new().every_nth_instruction(1), move |_, _| {
                let interrupted = engine.upgrade().is_some_and(|engine| engine.interrupted.get());
                if interrupted { Err(interruption()) } else { Ok(VmState::Continue) }
            })?;
            Err(interruption())
        })
    }
}

fn interruption() -> Error {
    Error::runtime("interrupted!")
}

/// Waits until `condition` holds. Only for conditions that Lua code or another task changes: see the module's
/// description.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    poll_fn(|_| if condition() { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// An error as Lua's own interpreter would show it.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::RuntimeError(message) => message.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        Error::MemoryError(_) => "not enough memory".to_string(),
        Error::CallbackError { traceback, cause } => format!("{}\n{traceback}", describe(cause)),
        Error::WithContext { context, cause } => format!("{context}\n{}", describe(cause)),
        other => other.to_string(),
    }
}

/// Polls a future that is expected to be ready; if it is not, poll it again in a task.
pub(crate) fn poll_once<T>(future: &mut LocalFuture<'_, T>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
