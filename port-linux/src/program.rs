//! The program `lunet`: from a command line to an exit status.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use embassy_futures::select::{Either, Either3, select, select3};
use net_lua::{Eval, Exit, Platform, Runtime};
use tokio::time::Instant;

use crate::Directory;
use crate::adapter;
use crate::args::{self, Command, HELP, Options};
use crate::block_on;
use crate::console::{self, tell};
use crate::device::Device;
use crate::mdns;
use crate::prompt::{Input, Prompt};
use crate::serve;
use crate::signals::Signals;
use crate::store::default_state;

/// It ran to its end.
pub(crate) const DONE: u8 = 0;
/// The script failed, or the computer could not give it what it needs.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;

/// How long is waited for the device's first addresses. A DHCP server that looks whether an address is free before
/// it offers it takes 3 seconds.
pub(crate) const NO_ADDRESS: Duration = Duration::from_secs(10);
/// The port that browsers ask a device on.
const HTTP: u16 = 80;

/// Runs `lunet` with these arguments (without the program's name), and gives its exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let (options, script) = match args::parse(arguments) {
        Ok(Command::Help) => return print(HELP),
        Ok(Command::Version) => return print(concat!("lunet ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Prompt(options)) => (options, None),
        Ok(Command::Serve(options, how)) => return serve::main(options, &how),
        Ok(Command::Mdns(options, what)) => return mdns::main(options, &what),
        Ok(Command::Run { options, script, arguments }) => match fs::read(&script) {
            Ok(source) => {
                let path = script.to_string_lossy().into_owned();
                (options, Some(Script { path, source, arguments }))
            }
            Err(e) => return fail(USAGE, format_args!("cannot read the script {}: {e}", script.display())),
        },
        Err(e) => return fail(USAGE, e),
    };
    console::start_log(options.verbose);
    let root = options.root.clone().unwrap_or_else(|| match &script {
        Some(script) => {
            Path::new(&script.path).parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new(".")).into()
        }
        None => PathBuf::from("."),
    });
    let files = match Directory::open(&root) {
        Ok(files) => files,
        Err(e) => return fail(USAGE, format_args!("--root: cannot open the directory {}: {e}", root.display())),
    };
    let state = options.state.clone().unwrap_or_else(default_state);
    let run = || -> io::Result<u8> {
        let signals = Signals::receive()?;
        block_on(run(options, script, files, state, signals))
    };
    run().unwrap_or_else(|e| fail(FAILED, e))
}

fn print(text: &str) -> u8 {
    console::print(text.as_bytes());
    DONE
}

/// Says what went wrong; gives `status`.
pub(crate) fn fail(status: u8, message: impl std::fmt::Display) -> u8 {
    tell(message);
    status
}

/// A script, read.
struct Script {
    path: String,
    source: Vec<u8>,
    arguments: Vec<String>,
}

async fn run(options: Options, script: Option<Script>, files: Directory, state: PathBuf, signals: Arc<Signals>) -> u8 {
    let opening = async {
        let networks = adapter::open(&options, HTTP).await?;
        let deadline = Instant::now() + NO_ADDRESS;
        for network in &networks {
            network.until_ready(deadline).await;
        }
        Ok::<_, adapter::OpenError>(networks)
    };
    let networks = match select(Box::pin(opening), signals.interrupted()).await {
        Either::First(Ok(networks)) => networks,
        Either::First(Err(e)) => return fail(if e.is_usage() { USAGE } else { FAILED }, e),
        Either::Second(()) => return signals.status(),
    };
    let adapters = networks.iter().map(|network| (network.role, network.adapter.clone())).collect();
    let platform: Rc<dyn Platform> = Rc::new(Device::new(adapters, files, &state, signals.clone()));
    let status = loop {
        let runtime = match Runtime::new(platform.clone(), net_lua::Options::default()) {
            Ok(runtime) => runtime,
            Err(e) => break fail(FAILED, e),
        };
        let exit = match &script {
            Some(script) => run_script(&runtime, script, &signals).await,
            None => run_prompt(&runtime, &state, &signals).await,
        };
        let status = match &exit {
            Exit::Finished | Exit::Restart => DONE,
            Exit::Stopped => signals.status(),
            Exit::Failed(message) => fail(FAILED, message),
        };
        if exit != Exit::Restart {
            signals.closing();
        }
        runtime.shutdown().await;
        if exit != Exit::Restart {
            break status;
        }
    };
    adapter::until_quiet(&networks).await;
    status
}

async fn run_script(runtime: &Runtime, script: &Script, signals: &Signals) -> Exit {
    let arguments: Vec<&str> = script.arguments.iter().map(String::as_str).collect();
    let running = Box::pin(runtime.run_chunk(&script.path, &script.source, &arguments));
    match select(running, signals.interrupted()).await {
        Either::First(exit) => exit,
        Either::Second(()) => {
            signals.take_interrupted();
            Exit::Stopped
        }
    }
}

async fn run_prompt(runtime: &Runtime, state: &Path, signals: &Signals) -> Exit {
    let mut prompt = match Prompt::start(state) {
        Ok(prompt) => prompt,
        Err(e) => return Exit::Failed(e.to_string()),
    };
    let mut chunk = String::new();
    let mut asked_to_leave = false;
    loop {
        prompt.ask(if chunk.is_empty() { "> " } else { ">> " });
        let input = match select3(prompt.next(), Box::pin(runtime.run()), signals.interrupted()).await {
            Either3::First(input) => input,
            Either3::Second(exit) => return exit,
            Either3::Third(()) => {
                signals.take_interrupted();
                return Exit::Stopped;
            }
        };
        match input {
            Input::Line(line) => chunk.push_str(&line),
            Input::End => return Exit::Finished,
            Input::Interrupted if chunk.is_empty() && asked_to_leave => return Exit::Finished,
            Input::Interrupted => {
                asked_to_leave = chunk.is_empty();
                if asked_to_leave {
                    tell("Ctrl-D, or Ctrl-C once more, to leave");
                }
                chunk.clear();
                continue;
            }
        }
        asked_to_leave = false;
        let evaluated = select(Box::pin(runtime.eval(&chunk)), signals.interrupted()).await;
        match evaluated {
            Either::First(Eval::Incomplete) => {
                chunk.push('\n');
                continue;
            }
            Either::First(Eval::Stopped(exit)) => return exit,
            Either::First(Eval::Failed(message)) => tell(message),
            Either::First(Eval::Interrupted) | Either::Second(()) => {
                signals.take_interrupted();
                tell("interrupted");
            }
            Either::First(Eval::Done) => {}
        }
        if !chunk.trim().is_empty() {
            prompt.remember(chunk.trim_end());
        }
        chunk.clear();
    }
}
