//! An ordinary user.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Process;

/// The user `nobody` of Debian.
const NOBODY: &str = "65534";

/// A folder of our own, which goes when this does.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one that everybody may read and write.
    ///
    /// # Panics
    /// When the folder for temporary files takes none.
    #[allow(clippy::new_without_default)] // it does something
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lunet-folder-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder among the temporary files");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a folder of our own");
        Self(path)
    }

    /// Writes a file in it, and the folders above that, and gives its path.
    ///
    /// # Panics
    /// When that cannot be.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.0)).expect("a folder of our own");
        fs::write(&path, content).expect("a file of our own");
        path
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A command that runs `arguments` as a user who owns nothing, in an environment with nothing but a path.
pub fn as_nobody(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]).args(arguments);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/nonexistent");
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Copies of files, in a folder that everybody may use, each with a name of its own: the originals may be where
/// only root gets.
///
/// # Panics
/// When a file cannot be copied.
pub fn for_everybody(files: &[(&Path, &str)]) -> Folder {
    let folder = Folder::new();
    for (file, name) in files {
        let copy = folder.path().join(name);
        // By another process: what this one has open for writing, a program that another test starts meanwhile holds
        // open too for a moment, and a program that is open for writing cannot be run.
        Process::start(Command::new("cp").arg("--").args([*file, &copy]).stdin(Stdio::null())).finish().ok();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    }
    folder
}
