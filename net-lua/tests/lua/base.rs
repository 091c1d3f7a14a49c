//! What every script has: printing, loading, the time, errors, the prompt.

use std::rc::Rc;

use net_core::time::{Clock, UnixTime};
use net_lua::{Eval, Exit};

use crate::common::{self, Device, Pair};

fn run(script: &str) -> String {
    Pair::new().run(script)
}

#[test]
fn print_separates_with_tabs_and_uses_tostring() {
    assert_eq!(run("print(1, 'a\\0b', nil, true, 2.0)"), "1\ta\0b\tnil\ttrue\t2.0\n");
    assert_eq!(run("print(setmetatable({}, {__tostring = function() return 'x' end}))"), "x\n");
}

#[test]
fn arguments_are_in_arg_and_in_dots() {
    let device = Device::new(vec![]);
    device.file("a.lua", "print(arg[0], arg[1], #arg, ...)");
    let exit = virtual_time::block_on(async { device.runtime().run_file("a.lua", &["x", "y"]).await });
    assert_eq!((exit, device.printed()), (Exit::Finished, "a.lua\tx\t2\tx\ty\n".into()));
}

#[test]
fn a_script_that_is_not_there_is_named() {
    let device = Device::new(vec![]);
    let exit = virtual_time::block_on(async { device.runtime().run_file("b.lua", &[]).await });
    assert_eq!(exit, Exit::Failed("cannot open b.lua: No such file or directory".into()));
}

fn failure(script: &str) -> String {
    let device = Device::new(vec![]);
    let exit = virtual_time::block_on(async { device.runtime().run_chunk("t.lua", script.as_bytes(), &[]).await });
    match exit {
        Exit::Failed(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failing_script_ends_with_a_traceback() {
    let message = failure("local function f() error('oh') end\nf()");
    assert!(message.starts_with("t.lua:1: oh\nstack traceback:\n"), "{message}");
    assert!(message.contains("t.lua:2: in main chunk"), "{message}");
    assert!(failure("x = = 1").starts_with("t.lua:1: unexpected symbol near '='"), "{}", failure("x = = 1"));
}

#[test]
fn errors_of_ours_are_strings_with_the_line_in_front() {
    assert_eq!(
        run("print(pcall(function()\n tmr.delay('x') end))"),
        "false\ttest.lua:2: bad argument #1 to 'delay' (number expected, got string)\n"
    );
    assert_eq!(run("print(pcall(tmr.delay))"), "false\tbad argument #1 to 'delay' (number expected, got no value)\n");
    assert_eq!(
        run("local ok, e = pcall(tmr.delay, 1.5) print(type(e), e)"),
        "string\tbad argument #1 to 'delay' (number has no integer representation)\n"
    );
}

#[test]
fn what_reaches_beyond_the_device_is_not_there() {
    let script =
        "print(io, os.execute, os.remove, os.exit, package.loadlib, package.cpath, debug.getregistry, string.dump)";
    assert_eq!(run(script), "nil\tnil\tnil\tnil\tnil\tnil\tnil\tnil\n");
    assert_eq!(run("print(debug.traceback('m', 1):match('^m\\nstack traceback:') ~= nil)"), "true\n");
}

#[test]
fn bytecode_is_refused() {
    assert_eq!(run("print(load('\\27Lua'))"), "nil\tattempt to load a binary chunk\n");
    assert_eq!(run("print(load('return 1', 'c', 'b'))"), "nil\tattempt to load a text chunk\n");
    let device = Device::new(vec![]);
    let exit = virtual_time::block_on(async { device.runtime().run_chunk("t.lua", b"\x1bLua", &[]).await });
    assert!(matches!(exit, Exit::Failed(message) if message.contains("attempt to load a binary chunk")));
}

#[test]
fn load_takes_functions_environments_and_tells_errors() {
    assert_eq!(run("local n = 0 print(load(function() n = n + 1 return ({'return ', '4', '2'})[n] end)())"), "42\n");
    assert_eq!(run("print(load('return x', 'c', 't', {x = 5})())"), "5\n");
    assert_eq!(run("print(load('x = = 1', '=c'))"), "nil\tc:1: unexpected symbol near '='\n");
    assert_eq!(run("print(pcall(load, {}))"), "false\tbad argument #1 to 'load' (string expected, got table)\n");
}

#[test]
fn require_and_dofile_read_the_files_of_the_device() {
    let pair = Pair::new();
    pair.device.file("m.lua", "print('once', ...) return {v = 3}");
    pair.device.file("d/init.lua", "return 'dir'");
    pair.device.file("a/b.lua", "return 'nested'");
    pair.device.file("f.lua", "#!/usr/bin/lua\nreturn 1, 2");
    pair.device.file("bad.lua", "x = = 1");
    assert_eq!(pair.run("print(require('m').v, require('m').v)"), "once\tm\tm.lua\n3\t3\n");
    assert_eq!(pair.run("print((require('d')), (require('a.b')))"), "dir\tnested\n");
    assert_eq!(pair.run("print(dofile('f.lua'))"), "1\t2\n");
    assert_eq!(pair.run("print(loadfile('none.lua'))"), "nil\tcannot open none.lua: No such file or directory\n");
    assert_eq!(
        pair.run("print(pcall(dofile, 'none.lua'))"),
        "false\tcannot open none.lua: No such file or directory\n"
    );
    let printed = pair.run("print(select(2, pcall(require, 'none')))");
    assert_eq!(
        printed,
        "module 'none' not found:\n\tno field package.preload['none']\n\tno file 'none.lua'\n\tno file 'none/init.lua'\n"
    );
    assert!(
        pair.run("print(select(2, pcall(require, 'bad')))")
            .starts_with("error loading module 'bad' from file 'bad.lua':\n\tbad.lua:1:")
    );
    assert_eq!(pair.run("package.preload.p = function(n) return n .. '!' end print((require 'p'))"), "p!\n");
    assert_eq!(pair.run("print(require('net') == net, require('string') == string)"), "true\ttrue\n");
}

#[test]
fn os_tells_the_device_s_time() {
    let pair = Pair::new();
    // 2026-11-20T14:05:31Z
    pair.device.clock.set(UnixTime::from_secs(1_795_183_531));
    assert_eq!(pair.run("print(os.time())"), "1795183531\n");
    assert_eq!(
        pair.run("print(os.date('%Y-%m-%d %H:%M:%S %a %b %j %p %%'))"),
        "2026-11-20 14:05:31 Fri Nov 324 PM %\n"
    );
    assert_eq!(pair.run("print(os.date('!%c', 0))"), "Thu Jan  1 00:00:00 1970\n");
    assert_eq!(
        pair.run("print(os.date('%x %X %D %F %T %R %r', 0))"),
        "01/01/70 00:00:00 01/01/70 1970-01-01 00:00:00 00:00 12:00:00 AM\n"
    );
    let fields = "local t = os.date('*t', 1795183531) print(t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst)";
    assert_eq!(pair.run(fields), "2026\t11\t20\t14\t5\t31\t6\t324\tfalse\n");
    assert_eq!(pair.run("print(os.time{year=2026, month=11, day=20, hour=14, min=5, sec=31})"), "1795183531\n");
    assert_eq!(pair.run("print(os.time{year=1970, month=1, day=1})"), "43200\n");
    let carried = "local t = {year=2024, month=14, day=-1, hour=0} print(os.time(t), t.year, t.month, t.day)";
    // The 29th day before 1 February 2025 less one: 30 January.
    assert_eq!(pair.run(carried), "1738195200\t2025\t1\t30\n");
    assert_eq!(pair.run("print(pcall(os.time, {year=1}))"), "false\tfield 'month' missing in date table\n");
    assert_eq!(
        pair.run("print(pcall(os.time, {year=1, month='x', day=1}))"),
        "false\tfield 'month' is not an integer\n"
    );
    assert_eq!(
        pair.run("print(pcall(os.date, '%Q'))"),
        "false\tbad argument #1 to 'date' (invalid conversion specifier '%Q')\n"
    );
    assert_eq!(
        pair.run("print(pcall(os.date, '%'))"),
        "false\tbad argument #1 to 'date' (invalid conversion specifier '%')\n"
    );
    assert_eq!(pair.run("print(os.difftime(5, 3), math.type(os.clock()))"), "2.0\tfloat\n");
}

#[test]
fn every_conversion_of_c_is_one_of_os_date() {
    let script = "for c in ('aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%'):gmatch('.') do
          local text = os.date('%' .. c, 86399) assert(#text > 0 and not text:find('%%.'), c)
        end
        print(os.date('%C %e %g %G %h %I %u %U %V %w %W %y %z %Z %p %n%t|', 86399))
        print(select(2, pcall(os.date, '%Ec')), select(2, pcall(os.date, '%-d')))
        print(pcall(os.time, {year=2^31, month=1, day=1}))
        print(pcall(os.time, {year=2^31-1, month=2^31-1, day=2^31-1, hour=2^31-1, min=2^31-1, sec=2^31-1}))
        print(pcall(os.date, '%c', math.maxinteger))";
    let expected = "19  1 70 1970 Jan 11 4 00 01 4 00 70 +0000 UTC PM \n\t|
bad argument #1 to 'date' (invalid conversion specifier '%E')\tbad argument #1 to 'date' (invalid conversion specifier '%-')
false\tfield 'year' is out-of-bound
false\ttime result cannot be represented in this installation
false\tdate result cannot be represented in this installation
";
    assert_eq!(run(script), expected);
}

#[test]
fn an_unset_clock_counts_from_the_start() {
    assert_eq!(run("tmr.create():alarm(5000, tmr.ALARM_SINGLE, function() print(os.time() < 100) end)"), "true\n");
}

#[test]
fn r24_an_error_in_a_callback_is_logged_with_its_traceback_and_harms_nothing() {
    let pair = Pair::new();
    let printed = pair.run(
        "tmr.create():alarm(10, tmr.ALARM_SINGLE, function() error('oh') end)
        tmr.create():alarm(20, tmr.ALARM_SINGLE, function() print('still here') end)",
    );
    assert_eq!(printed, "still here\n");
    let logged = pair.device.logged.borrow();
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].starts_with("test.lua:1: oh\nstack traceback:\n"), "{logged:?}");
}

#[test]
fn node_onerror_gets_what_the_log_would() {
    let pair = Pair::new();
    let script = "node.onerror(function(e) print(e:match('^[^\\n]*')) error('again') end)
        tmr.create():alarm(10, tmr.ALARM_SINGLE, function() error('oh') end)";
    assert_eq!(pair.run(script), "test.lua:2: oh\n");
    assert!(pair.device.logged.borrow()[0].starts_with("test.lua:1: again\n"));
    assert_eq!(
        pair.run("print(pcall(node.onerror, 1))"),
        "false\tbad argument #1 to 'onerror' (function expected, got number)\n"
    );
}

#[test]
fn node_restart_ends_the_run() {
    let device = Device::new(vec![]);
    let script = b"tmr.create():alarm(10, tmr.ALARM_AUTO, function() node.restart() end)";
    let exit = virtual_time::block_on(async { device.runtime().run_chunk("t.lua", script, &[]).await });
    assert_eq!(exit, Exit::Restart);
}

#[test]
fn an_endless_loop_can_be_interrupted_whatever_it_catches() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
        "tmr.create():alarm(10, tmr.ALARM_SINGLE, function() while true do end end) tmr.create():alarm(10, 1, print)",
    ] {
        let device = Device::new(vec![]);
        device.interrupts.set(1);
        let exit = virtual_time::block_on(async { device.runtime().run_chunk("t.lua", script.as_bytes(), &[]).await });
        assert_eq!(exit, Exit::Stopped, "{script}");
    }
}

#[test]
fn a_memory_limit_is_an_error_that_can_be_caught() {
    let device = Device::new(vec![]);
    let options = net_lua::Options::default().memory_limit(400_000);
    let script = b"print(pcall(string.rep, 'x', 1000000)) print(#string.rep('x', 1000))";
    virtual_time::block_on(async {
        let runtime = net_lua::Runtime::new(device.clone(), options).unwrap();
        assert_eq!(runtime.run_chunk("t.lua", script, &[]).await, Exit::Finished);
    });
    assert_eq!(device.printed(), "false\tnot enough memory\n1000\n");
}

#[test]
fn the_prompt_prints_values_and_knows_what_is_incomplete() {
    let device = Device::new(vec![]);
    virtual_time::block_on(async {
        let runtime = device.runtime();
        assert_eq!(runtime.eval("1 + 1, 'x'").await, Eval::Done);
        assert_eq!(runtime.eval("y = 3").await, Eval::Done);
        assert_eq!(runtime.eval("y").await, Eval::Done);
        assert_eq!(runtime.eval("").await, Eval::Done);
        assert_eq!(device.printed(), "2\tx\n3\n");
        assert_eq!(runtime.eval("for i = 1, 2 do").await, Eval::Incomplete);
        assert_eq!(runtime.eval("f(").await, Eval::Incomplete);
        assert_eq!(runtime.eval("for i = 1, 2 do\nprint(i) end").await, Eval::Done);
        assert_eq!(device.printed(), "1\n2\n");
        assert_eq!(runtime.eval("x = = 1").await, Eval::Failed("stdin:1: unexpected symbol near '='".into()));
        assert!(
            matches!(runtime.eval("error('oh')").await, Eval::Failed(m) if m.starts_with("stdin:1: oh\nstack traceback:"))
        );
        device.interrupts.set(1);
        assert_eq!(runtime.eval("while true do end").await, Eval::Interrupted);
        assert_eq!(runtime.eval("node.restart()").await, Eval::Stopped(Exit::Restart));
    });
}

#[test]
fn an_endless_callback_can_be_interrupted_at_a_prompt_which_goes_on() {
    let device = Device::new(vec![]);
    virtual_time::block_on(async {
        let runtime = device.runtime();
        let loops = "co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end)
            tmr.create():alarm(10, 0, function() co() end)";
        assert_eq!(runtime.eval(loops).await, Eval::Done);
        device.interrupts.set(1);
        let both = embassy_futures::select::select(runtime.run(), common::sleep(100)).await;
        assert!(matches!(both, embassy_futures::select::Either::Second(())));
        assert!(device.logged.borrow()[0].starts_with("interrupted!"), "{:?}", device.logged);
        let long = "local n = 0 for i = 1, 1000000 do n = n + i end print(n)";
        assert_eq!(runtime.eval(long).await, Eval::Done);
        assert_eq!(device.printed(), "500000500000\n");
    });
}

#[test]
fn timers_go_on_between_the_lines_of_a_prompt() {
    let device = Device::new(vec![]);
    virtual_time::block_on(async {
        let runtime = device.runtime();
        let _ = runtime.eval("n = 0 tmr.create():alarm(10, tmr.ALARM_AUTO, function() n = n + 1 end)").await;
        embassy_futures::select::select(runtime.run(), common::sleep(1005)).await;
        let _ = runtime.eval("n").await;
        assert_eq!(device.printed(), "100\n");
        runtime.shutdown().await;
    });
}

#[test]
fn a_dropped_runtime_leaves_nothing_behind() {
    let pair = Pair::new();
    let script = b"s = net.createConnection() s:connect(80, '10.0.0.2') u = net.createUDPSocket() u:listen(5)
        t = tmr.create() t:alarm(1000, tmr.ALARM_AUTO, print)";
    virtual_time::block_on(async {
        let runtime = pair.device.runtime();
        embassy_futures::select::select(runtime.run_chunk("t.lua", script, &[]), common::sleep(1)).await;
        drop(runtime);
    });
    assert_eq!(Rc::strong_count(&pair.device), 1, "something holds the platform");
}
