//! Timers.

use embassy_time::{Duration, Instant};

use crate::common::Pair;

fn run(script: &str) -> String {
    Pair::new().run(script)
}

#[test]
fn a_single_alarm_fires_once_with_its_timer_and_is_forgotten() {
    let began = Instant::now();
    let printed = run("local t = tmr.create()
        print(t:alarm(1500, tmr.ALARM_SINGLE, function(x) print(x == t, t:state()) end), t:state())");
    assert_eq!(printed, "true\ttrue\t0\ntrue\tnil\tnil\n");
    assert_eq!(began.elapsed(), Duration::from_millis(1500));
}

#[test]
fn an_automatic_alarm_fires_on_time_until_stopped() {
    let began = Instant::now();
    let printed = run("local n = 0
        tmr.create():alarm(100, tmr.ALARM_AUTO, function(t) n = n + 1 if n == 10 then print(t:stop(), t:stop()) end end)");
    assert_eq!(printed, "true\tfalse\n");
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[test]
fn a_semi_automatic_alarm_can_be_started_again() {
    let printed = run("local n = 0
        local t = tmr.create()
        t:register(10, tmr.ALARM_SEMI, function(t) n = n + 1 print(n, t:state()) if n < 3 then t:start() end end)
        print(t:state()) print(t:start(), t:start(), t:start(true))");
    assert_eq!(printed, "false\t2\ntrue\tfalse\ttrue\n1\tfalse\t2\n2\tfalse\t2\n3\tfalse\t2\n");
}

#[test]
fn a_timer_can_change_its_interval_be_unregistered_and_registered_anew() {
    let printed = run("local t = tmr.create()
        print(t:start(), t:stop(), t:state())
        t:alarm(1000, tmr.ALARM_SINGLE, function() print('late', tmr.now() // 1000) end)
        t:interval(20)
        local u = tmr.create()
        u:alarm(10, tmr.ALARM_SINGLE, function() print('never') end)
        u:unregister()
        u:alarm(30, tmr.ALARM_SINGLE, function() print('anew') end)");
    assert_eq!(printed, "false\tfalse\tnil\tnil\nlate\t20\nanew\n");
}

#[test]
fn a_running_timer_lives_without_a_reference_and_a_stopped_one_is_collected() {
    let printed = run("local gone = setmetatable({}, {__mode = 'k'})
        local t = tmr.create()
        gone[t] = true
        t:alarm(10, tmr.ALARM_SINGLE, function() print('fired', t ~= nil) t = nil end)
        collectgarbage()
        print(next(gone) ~= nil)
        tmr.create():alarm(20, tmr.ALARM_SINGLE, function() collectgarbage() collectgarbage() print(next(gone)) end)");
    assert_eq!(printed, "true\nfired\ttrue\nnil\n");
}

#[test]
fn the_numbered_form_of_old_works() {
    let printed = run("tmr.alarm(0, 10, tmr.ALARM_SINGLE, function() print('zero', tmr.state(0)) end)
        tmr.alarm(6, 20, 1, function() print('six') tmr.stop(6) print(tmr.state(6)) end)
        print(pcall(tmr.alarm, 7, 10, 0, print))");
    assert_eq!(printed, "false\tbad argument #1 to 'alarm' (timer id out of range)\nzero\tnil\tnil\nsix\nfalse\t1\n");
}

#[test]
fn arguments_are_checked() {
    let script = "local t = tmr.create()
        local function try(...) print(select(2, pcall(...))) end
        try(function() t:alarm(0, 0, print) end)
        try(function() t:alarm(6870948, 0, print) end)
        try(function() t:alarm(10, 7, print) end)
        try(function() t:alarm(10, 0) end)
        try(function() t:alarm('x', 0, print) end)
        try(function() t.alarm({}, 10, 0, print) end)
        try(tmr.delay, -1)";
    assert_eq!(
        run(script),
        "test.lua:3: bad argument #1 to 'alarm' (Range: 1-6870947)
test.lua:4: bad argument #1 to 'alarm' (Range: 1-6870947)
test.lua:5: bad argument #2 to 'alarm' (Invalid mode)
test.lua:6: bad argument #3 to 'alarm' (Must be function)
test.lua:7: bad argument #1 to 'alarm' (number expected, got string)
test.lua:8: bad argument #1 to 'alarm' (number expected, got table)
bad argument #1 to 'delay' (delay out of range)
"
    );
}

#[test]
fn the_counters_count() {
    let pair = Pair::new();
    let printed = pair.run(
        "print(tmr.now(), tmr.time()) tmr.delay(100)
        tmr.create():alarm(2500, 0, function() print(tmr.now(), tmr.time()) end)",
    );
    assert_eq!(printed, "0\t0\n2500000\t2\n");
    assert_eq!(pair.device.delayed.get(), Duration::from_micros(100));
}
