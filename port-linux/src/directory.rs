//! A directory of the computer, out of which no path leads.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::vec;

use net_services::http::files::{self, Entries, Entry, EntryKind, FileError, Files, Found, Metadata, UnixTime};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

/// How often is tried again what the kernel could not do because directories were being moved.
const RETRIES: u32 = 16;

/// The files under a directory of the computer. The kernel sees to it that no path and no symbolic link leads out of
/// it (RESOLVE_BENEATH of openat2(2), Linux 5.6); links that stay within are followed, if they are relative.
///
/// Give it to a [`Site`](files::Site) to serve it. Only files and directories can be opened: no device, and no pipe,
/// which could be waited for without end. Files are read where they are asked for, without a thread for
/// it: they are mostly in the computer's memory already.
///
/// ```no_run
/// use net_services::http::files::Site;
/// use net_services::http::{Config, Server};
/// use port_linux::{Directory, block_on, host};
///
/// let directory = Directory::open("www".as_ref())?;
/// let site = Site::new(&directory).with_listings(true);
/// let server = Server::new(Config::new().with_port(8080), &site);
/// let mut buffers = [[0; 16 * 1024]; 16];
/// let network = host::HostNet::new(host::HostConfig::default())?;
/// block_on(server.run(&network, &mut buffers))??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    /// The files under `root`, which stays the same when it is renamed or another takes its place.
    ///
    /// # Errors
    /// When there is no such directory, or it may not be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        let directory = File::open(root)?;
        if directory.metadata()?.is_dir() {
            Ok(Self(directory.into()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Opens what is at `path`; an empty one is the directory itself.
    pub(crate) fn at(&self, path: &str, flags: OFlag) -> io::Result<OwnedFd> {
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "." } else { path };
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(if flags.contains(OFlag::O_CREAT) { Mode::from_bits_truncate(0o666) } else { Mode::empty() })
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let mut tries = 0;
        loop {
            match openat2(&self.0, path, how) {
                // A `..` in a link, while something was renamed somewhere: the kernel cannot tell where it leads.
                Err(Errno::EAGAIN) if tries < RETRIES => tries += 1,
                result => return Ok(result?),
            }
        }
    }

    /// The directory at `path`, in which others can be opened.
    pub(crate) fn directory_at(&self, path: &str) -> io::Result<Self> {
        self.at(path, OFlag::O_PATH | OFlag::O_DIRECTORY).map(Self)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Files for Directory {
    type File<'f> = DirectoryFile;
    type Entries<'f> = DirectoryEntries<'f>;

    async fn open(&self, path: files::Path<'_>) -> Result<Found<DirectoryFile, DirectoryEntries<'_>>, FileError> {
        let path = path.to_string();
        // Opening a pipe would wait for a writer, and a terminal would become the program's own.
        let opened =
            self.at(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).map_err(|e| file_error(&e))?;
        let file = File::from(opened);
        let metadata = file.metadata().map_err(|e| file_error(&e))?;
        if metadata.is_dir() {
            return Ok(Found::Directory(DirectoryEntries {
                root: self,
                path,
                unread: Some(file.into()),
                names: Vec::new().into_iter(),
                name: String::new(),
            }));
        }
        if !metadata.is_file() {
            return Err(FileError::Forbidden);
        }
        Ok(Found::File(DirectoryFile { file, metadata: known(&metadata) }))
    }
}

/// A file in a [`Directory`], open.
#[derive(Debug)]
pub struct DirectoryFile {
    file: File,
    metadata: Metadata,
}

impl files::File for DirectoryFile {
    fn metadata(&self) -> Metadata {
        self.metadata
    }

    async fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|_| FileError::Failed),
            }
        }
    }
}

/// What lies in a directory below a [`Directory`], sorted by name. Left out is what could not be opened, and what has a
/// name that is not UTF-8.
#[derive(Debug)]
pub struct DirectoryEntries<'f> {
    root: &'f Directory,
    path: String,
    /// The directory, until its names have been read.
    unread: Option<OwnedFd>,
    names: vec::IntoIter<String>,
    /// The one given last.
    name: String,
}

impl Entries for DirectoryEntries<'_> {
    async fn next(&mut self) -> Result<Option<Entry<'_>>, FileError> {
        if let Some(directory) = self.unread.take() {
            self.names = names(directory).map_err(|errno| file_error(&errno.into()))?.into_iter();
        }
        for name in self.names.by_ref() {
            // What a link leads to counts, and that only if it is within the root.
            let opened = self.root.at(&format!("{}/{name}", self.path), OFlag::O_PATH);
            let Ok(metadata) = opened.map(File::from).and_then(|file| file.metadata()) else { continue };
            let kind = match metadata.file_type() {
                kind if kind.is_file() => EntryKind::File(metadata.len()),
                kind if kind.is_dir() => EntryKind::Directory,
                _ => continue,
            };
            self.name = name;
            return Ok(Some(Entry { name: &self.name, kind, modified: known(&metadata).modified }));
        }
        Ok(None)
    }
}

/// The names in a directory, sorted, without itself and its parent.
fn names(directory: OwnedFd) -> nix::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory)?.iter() {
        match entry?.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What a [`Site`](files::Site) wants to know of a file.
fn known(metadata: &std::fs::Metadata) -> Metadata {
    // Before 1970 there is no time.
    let micros = u64::try_from(metadata.mtime()).ok().and_then(|secs| secs.checked_mul(1_000_000));
    let fraction = u64::try_from(metadata.mtime_nsec() / 1000).unwrap_or_default();
    let modified = micros.map(|micros| UnixTime::from_micros(micros.saturating_add(fraction)));
    // The time of the last change of any kind cannot be set back, as that of the content can be.
    let mut hasher = DefaultHasher::new();
    (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
    Metadata { length: metadata.len(), modified, version: Some(hasher.finish()) }
}

/// What the operating system reports, in the words of net-services.
fn file_error(error: &io::Error) -> FileError {
    match error.raw_os_error().unwrap_or(0) {
        // EINVAL: it has a zero byte.
        libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::EINVAL => FileError::NotFound,
        // EXDEV and ELOOP: it leads outside, or in a circle. ENXIO: a socket, or a device that is not there.
        libc::EACCES | libc::EPERM | libc::EXDEV | libc::ELOOP | libc::ENXIO => FileError::Forbidden,
        _ => FileError::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, SystemTime};

    use net_services::http::files::{Coding, File as _};
    use nix::unistd::mkfifo;

    use super::*;
    use crate::testing::Folder;

    fn open<'d>(directory: &'d Directory, path: &str) -> Result<Found<DirectoryFile, DirectoryEntries<'d>>, FileError> {
        crate::block_on(directory.open(files::Path::new(path).unwrap())).unwrap()
    }

    fn read(directory: &Directory, path: &str) -> Result<Vec<u8>, FileError> {
        match open(directory, path)? {
            Found::File(mut file) => {
                let mut bytes = vec![0; file.metadata().length as usize + 1];
                let n = crate::block_on(file.read_at(0, &mut bytes)).unwrap()?;
                bytes.truncate(n);
                Ok(bytes)
            }
            Found::Directory(_) => panic!("{path} is a directory"),
        }
    }

    fn list(directory: &Directory, path: &str) -> Vec<(String, EntryKind)> {
        let Ok(Found::Directory(mut entries)) = open(directory, path) else { panic!("{path} is no directory") };
        let mut all = Vec::new();
        while let Some(entry) = crate::block_on(entries.next()).unwrap().unwrap() {
            all.push((entry.name.to_owned(), entry.kind));
        }
        all
    }

    #[test]
    fn files_are_read_from_anywhere_in_them() {
        let folder = Folder::new();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a.txt"), "0123456789").unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert_eq!(read(&directory, "sub/a.txt").unwrap(), b"0123456789");
        let Ok(Found::File(mut file)) = open(&directory, "sub/a.txt") else { panic!("not a file") };
        for (offset, size, expected) in [(3, 4, "3456"), (8, 4, "89"), (10, 4, ""), (1 << 40, 4, "")] {
            let mut buffer = vec![0; size];
            let n = crate::block_on(file.read_at(offset, &mut buffer)).unwrap().unwrap();
            assert_eq!(&buffer[..n], expected.as_bytes(), "{offset}");
        }
        assert_eq!(read(&directory, "sub/b.txt").unwrap_err(), FileError::NotFound);
        assert_eq!(read(&directory, "sub/a.txt/x").unwrap_err(), FileError::NotFound);
        assert_eq!(read(&directory, &"x".repeat(300)).unwrap_err(), FileError::NotFound);
        assert!(Directory::open(&folder.path().join("sub/a.txt")).is_err());
    }

    #[test]
    fn h17_no_link_leads_out_of_the_root() {
        let folder = Folder::new();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        fs::write(root.join("sub/file"), "inside").unwrap();
        symlink(folder.path().join("secret"), root.join("absolute")).unwrap();
        symlink("../secret", root.join("relative")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("magic")).unwrap();
        symlink("sub/file", root.join("inside")).unwrap();
        symlink("../inside", root.join("sub/back")).unwrap();
        let directory = Directory::open(&root).unwrap();
        for path in ["absolute", "relative", "up/secret", "circle", "magic"] {
            assert_eq!(read(&directory, path).unwrap_err(), FileError::Forbidden, "{path}");
        }
        assert!(matches!(open(&directory, "up"), Err(FileError::Forbidden)));
        for path in ["inside", "sub/back"] {
            assert_eq!(read(&directory, path).unwrap(), b"inside", "{path}");
        }
        // Nor is it listed.
        let file = EntryKind::File(6);
        assert_eq!(list(&directory, ""), [("inside".to_owned(), file), ("sub".to_owned(), EntryKind::Directory)]);
        assert_eq!(list(&directory, "sub"), [("back".to_owned(), file), ("file".to_owned(), file)]);
    }

    #[test]
    fn h17_a_pipe_a_socket_or_a_device_is_no_file_and_does_not_hang() {
        let folder = Folder::new();
        mkfifo(&folder.path().join("pipe"), Mode::from_bits_truncate(0o666)).unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        for path in ["pipe", "socket"] {
            assert_eq!(read(&directory, path).unwrap_err(), FileError::Forbidden, "{path}");
        }
        assert_eq!(list(&directory, ""), []);
        assert_eq!(read(&Directory::open("/dev".as_ref()).unwrap(), "null").unwrap_err(), FileError::Forbidden);
    }

    #[test]
    fn h13_what_changes_has_another_version() {
        let folder = Folder::new();
        let path = folder.path().join("a");
        let date = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_250_000);
        let put = |content: &str| {
            fs::write(&path, content).unwrap();
            File::options().append(true).open(&path).unwrap().set_modified(date).unwrap();
        };
        let directory = Directory::open(folder.path()).unwrap();
        let metadata = || match open(&directory, "a") {
            Ok(Found::File(file)) => file.metadata(),
            _ => panic!("not a file"),
        };
        put("one");
        let before = metadata();
        assert_eq!((before.length, before.modified), (3, Some(UnixTime::from_micros(1_700_000_000_250_000))));
        assert_eq!(metadata(), before);
        // The same length, and the date set back. The kernel's clock for files ticks a few times in a hundredth of a second.
        let changed = (0..10_000).any(|_| {
            put("two");
            metadata().version != before.version
        });
        assert!(changed);
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(9))
            .unwrap();
        assert_eq!(metadata().modified, None);
    }

    #[test]
    fn h17_siblings_are_found_by_their_names() {
        let folder = Folder::new();
        fs::write(folder.path().join("a.css"), "plain").unwrap();
        fs::write(folder.path().join("a.css.gz"), "gzip").unwrap();
        fs::create_dir(folder.path().join("a.css.br")).unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let coded = |coding| crate::block_on(directory.open_coded(files::Path::new("a.css").unwrap(), coding)).unwrap();
        assert_eq!(coded(Coding::Gzip).unwrap().metadata().length, 4);
        assert!(coded(Coding::Brotli).is_none());
    }

    #[test]
    fn h17_a_directory_served_over_host_sockets() {
        use embassy_futures::select::{Either, select};
        use net_core::nal::{Read, TcpConnect, Write};
        use net_services::http::files::Site;
        use net_services::http::{Config, Server};

        let folder = Folder::new();
        let bytes: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
        fs::write(folder.path().join("large.bin"), &bytes).unwrap();
        mkfifo(&folder.path().join("pipe"), Mode::from_bits_truncate(0o666)).unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let site = Site::new(&directory);
        // A port that is free: it was given out a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Server::new(Config::new().with_address(address), &site);
        let network = crate::host::HostNet::new(crate::host::HostConfig::default()).unwrap();
        let ask = async |path: &str| {
            let mut socket = loop {
                // Until the server listens.
                match network.connect(address).await {
                    Ok(socket) => break socket,
                    Err(_) => embassy_futures::yield_now().await,
                }
            };
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let (mut all, mut buffer) = (Vec::new(), vec![0; 4096]);
            while let n @ 1.. = socket.read(&mut buffer).await.unwrap() {
                all.extend_from_slice(&buffer[..n]);
            }
            all
        };
        let client = async {
            let answer = ask("/large.bin").await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&bytes));
            assert!(ask("/pipe").await.starts_with(b"HTTP/1.1 403 "));
            assert!(ask("/").await.starts_with(b"HTTP/1.1 404 "));
        };
        let mut buffers = [[0; 2048]; 2];
        let ended = crate::block_on(select(server.run(&network, &mut buffers), client)).unwrap();
        assert!(matches!(ended, Either::Second(())), "the server has ended");
    }
}
