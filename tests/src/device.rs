//! The device under test: the `lunet` program with a script.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::namespace::Namespace;
use crate::process::{Output, Process};

/// The root of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace")
}

/// The `lunet` program: the one that `LUNET_BIN` names, or one built now, so that it is never an old one.
pub fn lunet() -> &'static Path {
    static LUNET: OnceLock<PathBuf> = OnceLock::new();
    LUNET.get_or_init(|| env::var_os("LUNET_BIN").map_or_else(|| build("port-linux", "lunet"), PathBuf::from))
}

/// The program of examples/http-server: the one beside that which `LUNET_BIN` names, or one built now.
pub fn http_server() -> &'static Path {
    static HTTP_SERVER: OnceLock<PathBuf> = OnceLock::new();
    HTTP_SERVER.get_or_init(|| {
        let beside = env::var_os("LUNET_BIN").map(|lunet| Path::new(&lunet).with_file_name("http-server"));
        beside.filter(|path| path.exists()).unwrap_or_else(|| build("http-server", "http-server"))
    })
}

/// Builds a program of the workspace as this test was built, and gives its path.
fn build(package: &str, program: &str) -> PathBuf {
    // The test itself is TARGET/PROFILE/deps/NAME.
    let test = env::current_exe().expect("the path of this test");
    let folder = test.ancestors().nth(2).expect("a folder of cargo's");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace()).args(["build", "--quiet", "--package", package, "--bin", program]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().is_ok_and(|status| status.success()), "cannot build {program}: {cargo:?}");
    folder.join(program)
}

/// A device that is about to be started.
#[derive(Debug)]
pub struct Launch {
    script: Script,
    arguments: Vec<OsString>,
    options: Vec<OsString>,
    adapter: Option<String>,
}

/// A `lunet` program running a script. It is a [`Process`], with all that one can do.
#[derive(Debug)]
pub struct Device {
    process: Process,
    _script: Script,
}

impl Device {
    /// The device's address in the network of [`ETH`](Self::ETH).
    pub const ADDRESS: &str = "10.0.0.2";
    /// The address of the namespace in that network.
    pub const HOST: &str = "10.0.0.1";
    /// The device's IPv6 address in that network.
    pub const ADDRESS_V6: &str = "fd00:10::2";
    /// The namespace's IPv6 address in that network.
    pub const HOST_V6: &str = "fd00:10::1";
    /// The adapter that a device gets where the test names none: a TAP with two static addresses, the namespace as
    /// router, and a DNS server at [`DNS`](Self::DNS).
    pub const ETH: &str = "tap:lunet0,ip=10.0.0.2/24,ip=fd00:10::2/64,gw=10.0.0.1,dns=192.0.2.53,\
                           host=10.0.0.1/24,host=fd00:10::1/64";
    /// Where tests put their DNS server.
    pub const DNS: &str = "192.0.2.53";

    /// A device with this Lua text as its script.
    pub fn script(text: &str) -> Launch {
        Launch::new(Script::text(text))
    }

    /// A device with a script of the repository, named by its path from the root: `examples/hello.lua`.
    pub fn file(path: &str) -> Launch {
        Launch::new(Script::File(workspace().join(path)))
    }

    /// The process, without the device about it, to wait for its end.
    pub fn finish(self) -> Output {
        self.process.finish()
    }

    /// Asks it to end as Ctrl-C does, and waits until it has.
    pub fn stop(self) -> Output {
        self.process.interrupt();
        self.process.finish()
    }
}

impl Deref for Device {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Device {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Launch {
    fn new(script: Script) -> Self {
        Self { script, arguments: Vec::new(), options: Vec::new(), adapter: Some(Device::ETH.to_owned()) }
    }

    /// Gives the device this Ethernet adapter instead of [`Device::ETH`].
    #[must_use]
    pub fn eth(mut self, adapter: &str) -> Self {
        self.adapter = Some(adapter.to_owned());
        self
    }

    /// Names no adapter, so that the device chooses.
    #[must_use]
    pub fn no_eth(mut self) -> Self {
        self.adapter = None;
        self
    }

    /// Adds options of `lunet run`.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(OsString::from));
        self
    }

    /// Adds arguments for the script.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(lunet());
        command.arg("run");
        if let Some(adapter) = &self.adapter {
            command.args(["--eth", adapter]);
        }
        command.args(&self.options).arg(self.script.path()).args(&self.arguments).stdin(Stdio::null());
        command
    }

    /// Starts it in a namespace. Wait for a line that its script prints to know that it serves.
    #[track_caller]
    pub fn start(self, namespace: &Namespace) -> Device {
        let process = namespace.start(&mut self.command());
        Device { process, _script: self.script }
    }

    /// Runs it in a namespace until it ends by itself.
    #[track_caller]
    pub fn run(self, namespace: &Namespace) -> Output {
        self.start(namespace).finish()
    }
}

#[derive(Debug)]
enum Script {
    File(PathBuf),
    /// A file of our own, which goes when this does.
    Text(PathBuf),
}

impl Script {
    fn text(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lunet-{}-{}.lua", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::write(&path, text).expect("a file in the folder for temporary files");
        Self::Text(path)
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Text(path) => path,
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Self::Text(path) = self {
            let _ = fs::remove_file(path);
        }
    }
}
