//! The device's files, as scripts see them: those under one directory of the computer.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

use net_lua::platform::{Entry, FileError, Files};
use nix::fcntl::{OFlag, renameat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::Directory;

/// What the operating system reports, in the words of net-lua.
pub(crate) fn file_error(error: io::Error) -> FileError {
    match error.raw_os_error().unwrap_or(0) {
        libc::ENOENT => FileError::NotFound,
        libc::EISDIR | libc::ENOTDIR => FileError::WrongKind,
        libc::EACCES | libc::EPERM | libc::EROFS => FileError::PermissionDenied,
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => FileError::Full,
        // EXDEV and ELOOP: it leads outside. EINVAL: it has a zero byte.
        libc::EXDEV | libc::ELOOP | libc::ENAMETOOLONG | libc::EINVAL => FileError::InvalidPath,
        _ => FileError::Io,
    }
}

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        // Opening a pipe would wait for a writer.
        let mut file = File::from(self.at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK).map_err(file_error)?);
        if !file.metadata().map_err(file_error)?.is_file() {
            return Err(FileError::WrongKind);
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(file_error)?;
        Ok(content)
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), FileError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (parent, name) =
            path.trim_start_matches('/').rsplit_once('/').unwrap_or(("", path.trim_start_matches('/')));
        if matches!(name, "" | "." | "..") {
            return Err(FileError::InvalidPath);
        }
        let parent = self.directory_at(parent).map_err(file_error)?;
        // In the same directory, so that it can take the place of the file in one step.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".lunet-{}-{count}", std::process::id());
        let mut file =
            File::from(parent.at(&temporary, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL).map_err(file_error)?);
        let replaced = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&parent, temporary.as_str(), &parent, name)?));
        replaced.map_err(|e| {
            let _ = unlinkat(&parent, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
            file_error(e)
        })
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, FileError> {
        let directory = self.at(directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(file_error)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd())).map_err(file_error)? {
            let entry = entry.map_err(file_error)?;
            // What has gone since, and what has no name in UTF-8, is left out.
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) {
                let is_directory = metadata.is_dir();
                entries.push(Entry { name, size: if is_directory { 0 } else { metadata.len() }, is_directory });
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::Folder;

    #[test]
    fn files_are_read_written_and_listed() {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("lib")).unwrap();
        let files = Directory::open(folder.path()).unwrap();
        files.write("/lib/a.lua", b"first").unwrap();
        files.write("lib/a.lua", b"second").unwrap();
        assert_eq!(files.read("lib/a.lua").unwrap(), b"second");
        assert_eq!(files.read("lib/../lib/./a.lua").unwrap(), b"second");
        let entry = Entry { name: "a.lua".into(), size: 6, is_directory: false };
        assert_eq!(files.list("lib").unwrap(), [entry]);
        assert_eq!(files.list("").unwrap(), [Entry { name: "lib".into(), size: 0, is_directory: true }]);
    }

    #[test]
    fn nothing_outside_can_be_reached() {
        let folder = Folder::new();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
        symlink("../secret", root.join("relative")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let files = Directory::open(&root).unwrap();
        for path in ["../secret", "/../secret", "absolute", "relative", "up/secret", "a\0b"] {
            assert_eq!(files.read(path), Err(FileError::InvalidPath), "{path}");
            assert_ne!(files.write(&format!("{path}/../x"), b""), Ok(()), "{path}");
        }
        assert_eq!(files.write("../new", b""), Err(FileError::InvalidPath));
        assert_eq!(files.list(".."), Err(FileError::InvalidPath));
        // Writing replaces a link, not what it leads to.
        files.write("relative", b"mine").unwrap();
        assert_eq!(fs::read(folder.path().join("secret")).unwrap(), b"x");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let folder = Folder::new();
        fs::write(folder.path().join("file"), "").unwrap();
        let files = Directory::open(folder.path()).unwrap();
        assert_eq!(files.read("none"), Err(FileError::NotFound));
        assert_eq!(files.read(""), Err(FileError::WrongKind));
        assert_eq!(files.read("file/x"), Err(FileError::WrongKind));
        assert_eq!(files.write("none/x", b""), Err(FileError::NotFound));
        for path in ["", "/", ".", "a/.."] {
            assert_eq!(files.write(path, b""), Err(FileError::InvalidPath), "{path}");
        }
        assert!(Directory::open(&folder.path().join("file")).is_err());
        let left: Vec<_> = files.list("").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(left, ["file"]);
    }
}
