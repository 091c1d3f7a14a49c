//! `tmr`: timers.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer};
use mlua::{AnyUserData, Function, Lua, Table, Value};

use crate::binding::{Args, Binder, Outcome, with};
use crate::engine::{Call, Engine, Kind, until};

/// The longest interval, in milliseconds, of the original's hardware: nearly two hours.
const LONGEST: i64 = 6_870_947;
/// The timers of the old, numbered form are 0 to this.
const LAST_NUMBERED: i64 = 6;
/// `tmr.now` counts microseconds modulo 2^31.
const NOW_MASK: u64 = 0x7fff_ffff;
/// The longest `tmr.delay`, in microseconds.
const LONGEST_DELAY: i64 = 1_000_000;

/// `tmr.ALARM_SINGLE`: fires once and is then forgotten.
const SINGLE: i64 = 0;
/// `tmr.ALARM_AUTO`: fires again and again.
const AUTO: i64 = 1;
/// `tmr.ALARM_SEMI`: fires once, and can be started again.
const SEMI: i64 = 2;

/// A timer. Its function is in the user value of its Lua object, so that a collected object takes it along.
#[derive(Default)]
struct Alarm {
    /// Milliseconds; 0 when nothing is registered.
    interval: Cell<i64>,
    mode: Cell<i64>,
    /// While it runs: its object, so that that is not collected.
    running: RefCell<Option<AnyUserData>>,
    /// Counts the starts, so that a task and a job know whether they are still meant.
    start: Cell<u32>,
}

type Handle = Rc<Alarm>;

pub(crate) fn open(lua: &Lua, binder: &Binder, engine: &Rc<Engine>) -> mlua::Result<()> {
    let shared = Rc::new(Shared { engine: engine.clone(), numbered: lua.create_registry_value(lua.create_table()?)? });
    let methods = binder.module(lua)?;
    methods_of(&methods, &shared)?;
    methods.finish_class::<Handle>("tmr.timer")?;

    let module = binder.module(lua)?;
    methods_of(&module, &shared)?;
    module
        .value("ALARM_SINGLE", SINGLE)?
        .value("ALARM_AUTO", AUTO)?
        .value("ALARM_SEMI", SEMI)?
        .function("create", |args| Ok(args.lua.create_any_userdata(Handle::default())?))?
        .function("now", |_| Ok((Instant::now().as_micros() & NOW_MASK) as i64))?
        .function("time", |_| Ok(Instant::now().as_secs() as i64))?
        .function("delay", with(engine, delay))?;
    lua.globals().raw_set("tmr", module.finish())
}

struct Shared {
    engine: Rc<Engine>,
    /// The timers of the numbered form, by number.
    numbered: mlua::RegistryKey,
}

fn methods_of(module: &crate::binding::Module<'_>, shared: &Rc<Shared>) -> mlua::Result<()> {
    module
        .function("register", with(shared, register))?
        .function("alarm", with(shared, alarm))?
        .function("start", with(shared, start))?
        .function("stop", with(shared, stop))?
        .function("interval", with(shared, interval))?
        .function("state", with(shared, state))?
        .function("unregister", with(shared, unregister))?;
    Ok(())
}

/// The timer that a function is for: an object, or a number of the old form.
fn timer(shared: &Shared, args: &Args<'_>) -> Outcome<(AnyUserData, Handle)> {
    if let Value::UserData(object) = args.get(1) {
        let alarm = object.borrow::<Handle>().map_err(|_| args.expected(1, "tmr.timer"))?.clone();
        return Ok((object.clone(), alarm));
    }
    let id = args.integer_in(1, 0..=LAST_NUMBERED, "timer id")?;
    let numbered: Table = args.lua.registry_value(&shared.numbered)?;
    if let Value::UserData(object) = numbered.raw_get::<Value>(id)? {
        let alarm = object.borrow::<Handle>()?.clone();
        return Ok((object, alarm));
    }
    let alarm = Handle::default();
    let object = args.lua.create_any_userdata(alarm.clone())?;
    numbered.raw_set(id, &object)?;
    Ok((object, alarm))
}

fn checked_interval(args: &Args<'_>) -> Outcome<i64> {
    let interval = args.integer(2)?;
    if (1..=LONGEST).contains(&interval) { Ok(interval) } else { Err(args.bad(2, "Range: 1-6870947")) }
}

/// `timer:register(milliseconds, mode, function(timer))`
fn register(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<()> {
    let (object, alarm) = timer(shared, args)?;
    let interval = checked_interval(args)?;
    let mode = args.integer(3)?;
    if ![SINGLE, AUTO, SEMI].contains(&mode) {
        return Err(args.bad(3, "Invalid mode"));
    }
    let Value::Function(function) = args.get(4) else { return Err(args.bad(4, "Must be function")) };
    alarm.running.take();
    alarm.interval.set(interval);
    alarm.mode.set(mode);
    object.set_user_value(function)?;
    Ok(())
}

/// `timer:alarm(…)`: register and start.
fn alarm(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<bool> {
    register(shared, args)?;
    let (object, alarm) = timer(shared, args)?;
    arm(&shared.engine, object, &alarm);
    Ok(true)
}

/// `timer:start([restart])`: false when it runs already (and is not to be restarted) or nothing is registered.
fn start(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<bool> {
    let (object, alarm) = timer(shared, args)?;
    let restart = args.get(2).as_boolean() == Some(true);
    if alarm.interval.get() == 0 || (alarm.running.borrow().is_some() && !restart) {
        return Ok(false);
    }
    arm(&shared.engine, object, &alarm);
    Ok(true)
}

/// `timer:stop()`: false when it does not run.
fn stop(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<bool> {
    let (_, alarm) = timer(shared, args)?;
    Ok(alarm.running.take().is_some())
}

/// `timer:interval(milliseconds)`: another interval; a running timer begins anew with it.
fn interval(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<()> {
    let (object, alarm) = timer(shared, args)?;
    let interval = checked_interval(args)?;
    if alarm.interval.get() != 0 {
        alarm.interval.set(interval);
        if alarm.running.borrow().is_some() {
            arm(&shared.engine, object, &alarm);
        }
    }
    Ok(())
}

/// `timer:state()`: whether it runs, and its mode; nil when nothing is registered.
fn state(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<(Option<bool>, Option<i64>)> {
    let (_, alarm) = timer(shared, args)?;
    if alarm.interval.get() == 0 {
        return Ok((None, None));
    }
    Ok((Some(alarm.running.borrow().is_some()), Some(alarm.mode.get())))
}

/// `timer:unregister()`
fn unregister(shared: &Rc<Shared>, args: &Args<'_>) -> Outcome<()> {
    let (object, alarm) = timer(shared, args)?;
    alarm.running.take();
    alarm.interval.set(0);
    object.set_user_value(Value::Nil)?;
    Ok(())
}

/// `tmr.delay(microseconds)`: stands still; at most a second.
fn delay(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<()> {
    let microseconds = args.integer_in(1, 0..=LONGEST_DELAY, "delay")?;
    engine.platform().delay(Duration::from_micros(microseconds.unsigned_abs()));
    Ok(())
}

/// Starts the timer's task. One that runs from an earlier start notices that the count has changed, and ends.
fn arm(engine: &Rc<Engine>, object: AnyUserData, alarm: &Handle) {
    let start = alarm.start.get().wrapping_add(1);
    alarm.start.set(start);
    alarm.running.replace(Some(object));
    let mut due = Instant::now();
    let (engine, alarm) = (engine.clone(), alarm.clone());
    engine.clone().spawn(Kind::Waits, async move {
        let is_running = || alarm.start.get() == start && alarm.running.borrow().is_some();
        while is_running() {
            let interval = Duration::from_millis(alarm.interval.get().unsigned_abs());
            // A callback that took longer than the interval costs the turns that it missed.
            due = (due + interval).max(Instant::now());
            select(Timer::at(due), until(|| !is_running())).await;
            if !is_running() {
                break;
            }
            let fired = Rc::new(Cell::new(false));
            post_alarm(&engine, &alarm, start, fired.clone());
            until(|| fired.get()).await;
        }
    });
}

/// Leaves the job that calls the timer's function.
fn post_alarm(engine: &Engine, alarm: &Handle, start: u32, fired: Rc<Cell<bool>>) {
    let alarm = alarm.clone();
    engine.post(move |lua| {
        fired.set(true);
        if alarm.start.get() != start {
            return Ok(None);
        }
        let Some(object) = alarm.running.borrow().clone() else { return Ok(None) };
        let function = object.user_value::<Option<Function>>()?;
        if alarm.mode.get() != AUTO {
            alarm.running.take();
        }
        if alarm.mode.get() == SINGLE {
            alarm.interval.set(0);
            object.set_user_value(Value::Nil)?;
        }
        function.map(|function| Call::new(lua, function, object)).transpose()
    });
}
