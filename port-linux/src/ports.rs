//! Which program of this computer has a port.

use std::fs;
use std::path::Path;

/// The state of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// The program that listens on this TCP port, for a message: `nginx (process 812)`. `None` when nobody does, or the
/// process is not ours to look at.
pub(crate) fn listener(port: u16) -> Option<String> {
    let read = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let tables = [read("tcp"), read("tcp6")];
    let inode = tables.iter().flat_map(|table| table.lines()).find_map(|line| listening(line, port))?;
    let link = format!("socket:[{inode}]");
    let has_it = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|target| target == Path::new(&link))
    };
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let id = process.file_name().into_string().ok().and_then(|name| name.parse::<u32>().ok());
        if let Some(id) = id.filter(|_| has_it(&process.path())) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {id})", name.trim_end()));
        }
    }
    None
}

/// The inode of the socket, if this line is that of one that listens on `port`: `0: 0100007F:1F90 00000000:0000 0A
/// 00000000:00000000 00:00000000 00000000 1000 0 54321 …`.
fn listening(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let (_, local) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    (state == LISTENING && u16::from_str_radix(local, 16) == Ok(port)).then_some(inode)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_program_that_has_a_port_is_named() {
        let ours = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = ours.local_addr().unwrap().port();
        let who = listener(port).unwrap();
        assert!(who.ends_with(&format!(" (process {})", std::process::id())) && !who.starts_with(' '), "{who}");
        drop(ours);
        assert_eq!(listener(port), None);
    }
}
