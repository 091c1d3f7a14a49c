//! What the device keeps over a restart: a file for each key, in a directory of its own.

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use net_lua::platform::{FileError, Files, Store};

use crate::Directory;
use crate::files::file_error;

/// Bytes of a key, 1 to this.
const LONGEST_KEY: usize = 15;
/// Bytes of a value, at most.
const LONGEST_VALUE: usize = 4096;

/// Values in the folder `store` of a state directory. The folder is made when the first value is set.
#[derive(Debug)]
pub(crate) struct FileStore {
    folder: PathBuf,
    files: OnceCell<Directory>,
}

impl FileStore {
    /// The values kept under `state`.
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: state.join("store"), files: OnceCell::new() }
    }

    fn files(&self) -> Result<&Directory, FileError> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = Directory::open(&self.folder).map_err(file_error)?;
        Ok(self.files.get_or_init(|| files))
    }
}

/// Keys are any text; of the bytes that have a meaning in paths, or in a terminal, files have the hexadecimal form.
fn file_name(key: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => (byte as char).to_string(),
        other => format!("%{other:02x}"),
    };
    key.bytes().map(escape).collect()
}

impl Store for FileStore {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.files().ok()?.read(&file_name(key)).ok()
    }

    fn set(&self, key: &str, value: Option<&[u8]>) -> Result<(), FileError> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(FileError::InvalidPath);
        }
        match value {
            Some(value) if value.len() > LONGEST_VALUE => Err(FileError::Full),
            Some(value) => {
                fs::create_dir_all(&self.folder).map_err(file_error)?;
                self.files()?.write(&file_name(key), value)
            }
            None => match fs::remove_file(self.folder.join(file_name(key))).map_err(file_error) {
                Err(FileError::NotFound) => Ok(()),
                removed => removed,
            },
        }
    }
}

/// Where things are kept that nobody said another place for: $XDG_STATE_HOME/lunet, else ~/.local/state/lunet (XDG Base
/// Directory Specification), else, for an account without a home, a folder of the current directory.
pub(crate) fn default_state() -> PathBuf {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(|| PathBuf::from(".lunet"), |state| state.join("lunet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn values_outlive_the_store() {
        let folder = Folder::new();
        let state = folder.path().join("not/there/yet");
        let store = FileStore::new(&state);
        assert_eq!(store.get("wifi"), None);
        assert_eq!(store.set("wifi", None), Ok(()));
        store.set("wifi", Some(b"\0secret")).unwrap();
        store.set("../up", Some(b"")).unwrap();
        let store = FileStore::new(&state);
        assert_eq!(store.get("wifi").as_deref(), Some(&b"\0secret"[..]));
        assert_eq!(store.get("../up").as_deref(), Some(&b""[..]));
        store.set("wifi", None).unwrap();
        assert_eq!(store.get("wifi"), None);
    }

    #[test]
    fn keys_and_values_have_limits() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path());
        assert_eq!(store.set("", Some(b"")), Err(FileError::InvalidPath));
        assert_eq!(store.set("sixteen bytes :-(", Some(b"")), Err(FileError::InvalidPath));
        assert_eq!(store.set("key", Some(&[0; 4097])), Err(FileError::Full));
        assert_eq!(store.set("key", Some(&[0; 4096])), Ok(()));
    }
}
