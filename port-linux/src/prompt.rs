//! The interactive prompt. Lines are edited in a thread of their own, so that the network runs on.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Editor, ExternalPrinter};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::console;

/// How the terminal was before lines were edited on it.
static TERMINAL: Mutex<Option<Termios>> = Mutex::new(None);

/// What the user has done.
#[derive(Debug)]
pub(crate) enum Input {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of what was not typed.
    End,
}

enum Request {
    Read(&'static str),
    Remember(String),
}

/// The thread that edits lines.
#[derive(Debug)]
pub(crate) struct Prompt {
    requests: mpsc::Sender<Request>,
    inputs: UnboundedReceiver<Input>,
}

impl Prompt {
    /// Starts the thread. Its history is in a file under `state`.
    pub(crate) fn start(state: &Path) -> io::Result<Self> {
        let terminal = tcgetattr(io::stdin()).ok();
        *TERMINAL.lock().unwrap_or_else(PoisonError::into_inner) = terminal;
        let (requests, received) = mpsc::channel();
        let (sender, inputs) = unbounded_channel();
        let history = state.join("history");
        let edit = move || {
            if let Err(e) = edit(&received, &sender, history) {
                console::tell(format_args!("the prompt has ended: {e}"));
            }
            // The sender goes with this thread; whoever waits for a line learns by it.
        };
        thread::Builder::new().name("prompt".to_owned()).spawn(edit)?;
        Ok(Self { requests, inputs })
    }

    /// Asks for a line; [`next`](Self::next) gives it.
    pub(crate) fn ask(&self, prompt: &'static str) {
        // If the thread has ended, next tells.
        let _ = self.requests.send(Request::Read(prompt));
    }

    /// Puts an entry into the history.
    pub(crate) fn remember(&self, entry: &str) {
        let _ = self.requests.send(Request::Remember(entry.to_owned()));
    }

    /// Waits for what was asked for. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::End)
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Makes the terminal as it was: the thread may be in the middle of a line when the program ends.
pub(crate) fn restore_terminal() {
    console::set_prompt(None);
    if let Some(terminal) = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &terminal);
    }
}

fn edit(
    requests: &mpsc::Receiver<Request>,
    inputs: &UnboundedSender<Input>,
    history: PathBuf,
) -> rustyline::Result<()> {
    let config = Config::builder().max_history_size(1000)?.auto_add_history(false).build();
    let mut editor = Editor::<(), FileHistory>::with_config(config)?;
    if let Some(folder) = history.parent() {
        // Without a place for it there is no history, and that is all.
        let _ = fs::create_dir_all(folder);
    }
    let _ = editor.load_history(&history);
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let mut printer = editor.create_external_printer()?;
        console::set_prompt(Some(Box::new(move |text| printer.print(text).is_ok())));
    }
    // On a terminal that can do nothing, rustyline shows a prompt even where nobody types.
    let typed = io::stdin().is_terminal();
    while let Ok(request) = requests.recv() {
        let input = match request {
            Request::Remember(entry) => {
                editor.add_history_entry(entry)?;
                let _ = editor.append_history(&history);
                continue;
            }
            Request::Read(prompt) => match editor.readline(if typed { prompt } else { "" }) {
                Ok(line) => Input::Line(line),
                Err(ReadlineError::Interrupted) => Input::Interrupted,
                Err(ReadlineError::Eof) => Input::End,
                Err(e) => return Err(e),
            },
        };
        if inputs.send(input).is_err() {
            break;
        }
    }
    Ok(())
}
