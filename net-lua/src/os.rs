//! `os`: the time of day. What else Lua's own `os` has (programs, files, the environment) a device has not.

use alloc::rc::Rc;
use alloc::string::String;
use core::fmt::Write;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Timelike, Utc};
use embassy_time::Instant;
use mlua::{Integer, Lua, Table, Value};

use crate::binding::{Args, Binder, Outcome, Raise, with};
use crate::engine::Engine;

pub(crate) fn open(lua: &Lua, binder: &Binder, engine: &Rc<Engine>) -> mlua::Result<()> {
    let module = binder.module(lua)?;
    module
        .function("clock", |_| Ok(seconds_since_start()))?
        .function("date", with(engine, date))?
        .function("difftime", |args| {
            Ok(args.integer(1)? as f64 - if args.is_nil(2) { 0 } else { args.integer(2)? } as f64)
        })?
        .function("time", with(engine, time))?;
    lua.globals().raw_set("os", module.finish())
}

fn seconds_since_start() -> f64 {
    Instant::now().as_micros() as f64 / 1e6
}

/// Seconds since 1970 by the device's clock; while nobody has set that, seconds since it was switched on.
fn now(engine: &Engine) -> Integer {
    let seconds = engine.platform().clock().now().map_or_else(|| Instant::now().as_secs(), |time| time.as_secs());
    Integer::try_from(seconds).unwrap_or(Integer::MAX)
}

/// `os.time([table])`: now, or the moment that the fields of `table` name, in UTC. Fields beyond their range carry
/// over, and the table is brought in order, as in Lua's own.
fn time(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<Integer> {
    let table = match args.get(1) {
        Value::Nil => return Ok(now(engine)),
        Value::Table(table) => table,
        _ => return Err(args.expected(1, "table")),
    };
    let field = |name: &str, default: Option<i64>| -> Outcome<i64> {
        let value: Value = table.get(name)?;
        let missing = value.is_nil();
        match (args.lua.coerce_integer(value)?, default) {
            (Some(value), _) if i32::try_from(value).is_ok() => Ok(value),
            (Some(_), _) => Err(Raise::from(alloc::format!("field '{name}' is out-of-bound"))),
            (None, Some(default)) if missing => Ok(default),
            (None, None) if missing => Err(Raise::from(alloc::format!("field '{name}' missing in date table"))),
            (None, _) => Err(Raise::from(alloc::format!("field '{name}' is not an integer"))),
        }
    };
    let (year, month, day) = (field("year", None)?, field("month", None)?, field("day", None)?);
    let (hour, minute, second) = (field("hour", Some(12))?, field("min", Some(0))?, field("sec", Some(0))?);
    let unrepresentable = || Raise::from("time result cannot be represented in this installation");

    let months = year * 12 + month - 1;
    let first = i32::try_from(months.div_euclid(12)).ok().and_then(|year| NaiveDate::from_ymd_opt(year, 1, 1));
    let first = first.and_then(|first| first.checked_add_months(Months::new(months.rem_euclid(12) as u32)));
    let midnight = first.and_then(|first| first.and_hms_opt(0, 0, 0)).ok_or_else(unrepresentable)?.and_utc();
    let moment = midnight
        .checked_sub_days(Days::new(1))
        .and_then(|time| time.checked_add_signed(TimeDelta::days(day)))
        .and_then(|time| time.checked_add_signed(TimeDelta::seconds(hour * 3600 + minute * 60 + second)))
        .ok_or_else(unrepresentable)?;
    set_fields(table, &moment)?;
    Ok(moment.timestamp())
}

/// The conversions of C99's `strftime` without its locale modifiers (there is no locale).
const CONVERSIONS: &str = "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";

/// `os.date([format [, time]])`: everything in UTC, with or without `!`.
fn date(engine: &Rc<Engine>, args: &Args<'_>) -> Outcome<Value> {
    let format = if args.is_nil(1) { String::from("%c") } else { args.string(1)?.to_string_lossy() };
    let seconds = if args.is_nil(2) { now(engine) } else { args.integer(2)? };
    let Some(moment) = DateTime::<Utc>::from_timestamp(seconds, 0) else {
        return Err("date result cannot be represented in this installation".into());
    };
    let format = format.strip_prefix('!').unwrap_or(&format);
    if format.starts_with("*t") {
        let table = args.lua.create_table()?;
        set_fields(&table, &moment)?;
        return Ok(Value::Table(table));
    }
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character == '%' {
            let conversion = rest.next();
            if !conversion.is_some_and(|conversion| CONVERSIONS.contains(conversion)) {
                let text: String = conversion.into_iter().collect();
                return Err(args.bad(1, &alloc::format!("invalid conversion specifier '%{text}'")));
            }
        }
    }
    let mut text = String::new();
    write!(text, "{}", moment.format(format)).map_err(|_| args.bad(1, "invalid conversion specifier"))?;
    Ok(Value::String(args.lua.create_string(text)?))
}

fn set_fields(table: &Table, moment: &DateTime<Utc>) -> mlua::Result<()> {
    table.set("year", moment.year())?;
    table.set("month", moment.month())?;
    table.set("day", moment.day())?;
    table.set("hour", moment.hour())?;
    table.set("min", moment.minute())?;
    table.set("sec", moment.second())?;
    table.set("yday", moment.ordinal())?;
    table.set("wday", moment.weekday().number_from_sunday())?;
    table.set("isdst", false)
}
