//! Command-line clients and Python's.

use std::fs;
use std::io::{Read, Write};

use lunet_tests::{Device, Folder, Namespace, data, have, read_all};

use super::{PYTHON, Place, Site, have_file};

const SIZE: usize = 3 << 20;

/// A document root with something of everything.
fn root() -> Folder {
    let root = Folder::new();
    root.write("index.html", "<!DOCTYPE html><html lang=en><title>x</title><p>Hello\n");
    root.write("text.txt", "0123456789abcdefghijklmnopqrstuvwxyz\n");
    root.write("large.bin", data(7, SIZE));
    root
}

/// H-13, H-14, H-17: what curl can ask of files.
fn curl(place: Place) {
    if !have(&["curl", "gzip"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let root = root();
    let style = "p { color: green }\n".repeat(100);
    let plain = root.write("style.css", &style);
    namespace.run("gzip", &["--keep", plain.to_str().unwrap()]).ok();
    let site = Site::start(&namespace, place, root, &[]);
    let curl = |arguments: &[&str]| {
        let output = namespace.run("curl", &[&["-sS", "--max-time", "60"], arguments].concat());
        output.ok().replace("\r\n", "\n")
    };
    let (index, text, large) = (site.url("/"), site.url("/text.txt"), site.url("/large.bin"));

    // One connection for several requests.
    let format = "%{http_code} %{num_connects} %{size_download}\n";
    let three = [text.as_str(), "-o", "/dev/null", &index, "-o", "/dev/null", &text, "-o", "/dev/null"];
    let one_after_another = curl(&[&["-w", format], &three[..]].concat());
    assert_eq!(one_after_another, "200 1 37\n200 0 54\n200 0 37\n");
    // Or not, by HTTP/1.0.
    let old = curl(&["-0", "-w", format, &text, "-o", "/dev/null", &text, "-o", "/dev/null"]);
    assert_eq!(old, "200 1 37\n200 1 37\n");

    // GET and HEAD have the same fields, and an offer of HTTP/2 changes nothing.
    let without_date = |head: &str| head.lines().filter(|l| !l.starts_with("Date:")).collect::<Vec<_>>().join("\n");
    let get = curl(&["-D", "-", "-o", "/dev/null", &text]);
    for field in ["HTTP/1.1 200 OK\n", "ETag: \"", "Last-Modified: ", "Accept-Ranges: bytes\n", "Content-Length: 37\n"]
    {
        assert!(get.contains(field), "no {field:?} in {get}");
    }
    assert_eq!(without_date(&curl(&["-I", &text])), without_date(&get));
    assert_eq!(without_date(&curl(&["--http2", "-D", "-", "-o", "/dev/null", &text])), without_date(&get));

    // Ranges, and a download that goes on where it was cut.
    assert_eq!(curl(&["-r", "10-13", "-w", "%{http_code}", &text]), "abcd206");
    assert_eq!(curl(&["-r", "-4", &text]), "xyz\n");
    let several = curl(&["-r", "0-1,35-", "-D", "-", &text]);
    assert!(
        several.contains("206 Partial Content\n") && several.contains("multipart/byteranges; boundary="),
        "{several}"
    );
    assert!(several.contains("Content-Range: bytes 0-1/37\n\n01\n"), "{several}");
    assert!(several.contains("Content-Range: bytes 35-36/37\n\nz\n\n"), "{several}");
    assert_eq!(curl(&["-r", "99-", "-w", "%{http_code}", "-o", "/dev/null", &text]), "416");
    let downloads = Folder::new();
    let part = downloads.write("part", &data(7, SIZE)[..1_000_000]);
    curl(&["-C", "-", "-o", part.to_str().unwrap(), &large]);
    assert!(fs::read(&part).unwrap() == data(7, SIZE), "the whole file");

    // Only what has changed.
    let etag = downloads.path().join("etag");
    let etag = etag.to_str().unwrap();
    assert_eq!(curl(&["--etag-save", etag, "-o", "/dev/null", "-w", "%{http_code}", &text]), "200");
    assert_eq!(curl(&["--etag-compare", etag, "-w", "%{http_code}", &text]), "304");
    let saved = site.file("text.txt");
    assert_eq!(curl(&["-z", saved.to_str().unwrap(), "-w", "%{http_code}", &text]), "304");
    fs::write(saved, "changed").unwrap();
    assert_eq!(curl(&["--etag-compare", etag, "-w", "%{http_code}", &text]), "changed200");

    // The compressed sibling.
    let css = site.url("/style.css");
    let compressed = curl(&["--compressed", "-D", "-", &css]);
    assert!(
        compressed.ends_with(&format!("\n\n{style}")) && compressed.contains("Content-Encoding: gzip\n"),
        "{compressed}"
    );
    let identity = curl(&["-D", "-", &css]);
    assert!(identity.ends_with(&format!("\n\n{style}")) && !identity.contains("Content-Encoding"), "{identity}");
    assert!(identity.contains("Vary: Accept-Encoding\n") && compressed.contains("Vary: Accept-Encoding\n"));

    // Other methods.
    let allow = |method| curl(&["-X", method, "-D", "-", "-o", "/dev/null", &text]);
    assert!(allow("OPTIONS").contains("Allow: GET, HEAD"), "{}", allow("OPTIONS"));
    assert!(allow("DELETE").starts_with("HTTP/1.1 405 ") && allow("DELETE").contains("Allow: GET, HEAD"));
    assert!(allow("NONSENSE").starts_with("HTTP/1.1 501 "));
}

#[test]
fn h13_curl_on_a_device() {
    curl(Place::Tap);
}

#[test]
fn h13_curl_on_the_computer() {
    curl(Place::Host);
}

#[test]
fn curl_over_ipv6_to_a_device() {
    if !have(&["curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut site = Site::start(&namespace, Place::Tap, root(), &[]);
    let url = format!("http://[{}]/text.txt", Device::ADDRESS_V6);
    assert_eq!(namespace.run("curl", &["-sS", "--max-time", "60", "-r", "0-3", &url]).ok(), "0123");
    site.process.wait_for(&format!("{} - - ", Device::HOST_V6));
}

/// H-14: requests sent all at once are answered in order, on one connection.
#[test]
fn h14_a_pipeline_from_nc() {
    if !have(&["nc"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    for place in [Place::Tap, Place::Host] {
        let site = Site::start(&namespace, place, root(), &[]);
        let mut requests = String::new();
        for number in 0..50 {
            requests += &format!("GET /text.txt HTTP/1.1\r\nHost: x\r\nRange: bytes={}-{0}\r\n\r\n", number % 36);
        }
        requests += "HEAD /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let address = site.address();
        let (host, port) = address.rsplit_once(':').unwrap();
        let answers = namespace.run_with_input("nc", &["-w", "60", host, port], requests.as_bytes()).ok();
        let mut rest = answers.as_str();
        for number in 0..50 {
            let (head, body) = rest.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
            let (byte, next) = body.split_at(1);
            assert_eq!(byte, &"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36..][..1]);
            rest = next;
        }
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n"), "{rest}");
        assert!(rest.contains("Connection: close\r\n"), "{rest}");
    }
}

/// H-12, H-14: a request that comes byte by byte.
#[test]
fn h12_a_request_in_single_bytes() {
    let Some(namespace) = Namespace::new() else { return };
    let site = Site::start(&namespace, Place::Tap, root(), &[]);
    let mut stream = namespace.connect(&site.address());
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /text.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(read_all(&mut stream).ends_with("\r\n\r\n0123456789abcdefghijklmnopqrstuvwxyz\n"));
}

/// A client that closes in the middle of a download costs nothing but its connection.
#[test]
fn clients_that_leave_early() {
    let Some(namespace) = Namespace::new() else { return };
    let site = Site::start(&namespace, Place::Tap, root(), &["--connections", "2"]);
    for _ in 0..20 {
        let mut stream = namespace.connect(&site.address());
        stream.write_all(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
    }
    let mut stream = namespace.connect(&site.address());
    stream.write_all(b"GET /text.txt HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_all(&mut stream).ends_with("xyz\n"));
}

/// Python's own client, and the one that everybody uses.
fn python(place: Place) {
    if !have_file("/usr/lib/python3/dist-packages/requests/__init__.py", "python3-requests") {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let site = Site::start(&namespace, place, root(), &[]);
    let program = r"
import hashlib, http.client, sys
import requests
url, digest = sys.argv[1:]
host = url.split('/')[2]

connection = http.client.HTTPConnection(host, timeout=60)
connection.connect()
own = connection.sock.getsockname()
for number in range(50):
    connection.request('GET', '/text.txt', headers={'Range': 'bytes=%d-' % (number % 37)})
    response = connection.getresponse()
    assert response.status == 206, response.status
    assert len(response.read()) == 37 - number % 37
    assert connection.sock.getsockname() == own, 'the same connection'
connection.request('HEAD', '/large.bin')
response = connection.getresponse()
assert (response.status, response.read(), response.length) == (200, b'', 0)
assert int(response.getheader('Content-Length')) == 3 << 20
connection.request('POST', '/text.txt', body=b'x' * 100000)
response = connection.getresponse()
assert response.status == 405 and response.getheader('Allow').startswith('GET, HEAD')
connection.close()

with requests.Session() as session:
    response = session.get(url + '/large.bin', timeout=60)
    assert hashlib.sha256(response.content).hexdigest() == digest
    etag = response.headers['ETag']
    response = session.get(url + '/large.bin', headers={'If-None-Match': etag}, timeout=60)
    assert (response.status_code, response.content) == (304, b'')
    with session.get(url + '/large.bin', stream=True, timeout=60) as response:
        assert sum(len(piece) for piece in response.iter_content(1000)) == 3 << 20
    for number in range(50):
        assert session.get(url + '/', timeout=60).text.startswith('<!DOCTYPE html>')
    assert session.get(url + '/none', timeout=60).status_code == 404
    pool = session.get_adapter(url).poolmanager.connection_from_url(url)
    assert (pool.num_connections, pool.num_requests) == (1, 54), (pool.num_connections, pool.num_requests)
print('done')
";
    let large = site.file("large.bin");
    let digest = namespace.run("sha256sum", &[large.to_str().unwrap()]).ok();
    let digest = digest.split(' ').next().unwrap();
    assert_eq!(namespace.run(PYTHON, &["-c", program, &site.url, digest]).ok(), "done\n");
}

#[test]
fn h14_python_on_a_device() {
    python(Place::Tap);
}

#[test]
fn h14_python_on_the_computer() {
    python(Place::Host);
}

/// REDbot, the HTTP lint: it tries conditions, ranges, content negotiation and caching, and finds nothing to correct.
#[test]
fn h13_redbot() {
    let Some(redbot) = redbot() else { return };
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    // It warns of a part that is all of it: what it samples is shorter than each of these.
    let page = "<!DOCTYPE html><html lang=en><title>x</title>\n".to_owned() + &"<p>Hello\n".repeat(500);
    let compressible = root.write("page.html", &page);
    namespace.run("gzip", &["--keep", compressible.to_str().unwrap()]).ok();
    root.write("index.html", page);
    root.write("text.txt", "Some text.\n".repeat(20));
    root.write("large.bin", data(7, SIZE));
    let site = Site::start(&namespace, Place::Tap, root, &[]);
    for path in ["/", "/page.html", "/text.txt", "/large.bin"] {
        let report = namespace.run(&redbot, &["-o", "har", &site.url(path)]).ok();
        // Each note of the report is a few lines of JSON: its name, then its level, then a sentence.
        let field = |name: &str, line: &str| {
            let value = line.trim().strip_prefix(&format!("\"{name}\": \""))?;
            Some(value.trim_end_matches(',').trim_end_matches('"').to_owned())
        };
        let notes: Vec<_> = report.lines().filter_map(|line| field("note_id", line)).collect();
        let levels: Vec<_> = report.lines().filter_map(|line| field("level", line)).collect();
        assert_eq!(notes.len(), levels.len(), "{report}");
        // It has really looked at something.
        for wanted in ["CL_CORRECT", "DATE_CORRECT", "INM_304", "IMS_304", "RANGE_CORRECT"] {
            assert!(notes.iter().any(|note| note == wanted), "no {wanted} for {path}: {notes:?}");
        }
        let bad: Vec<_> =
            notes.iter().zip(&levels).filter(|(_, level)| !matches!(level.as_str(), "GOOD" | "INFO")).collect();
        assert!(bad.is_empty(), "{path}: {bad:?}\n{report}");
    }
}

/// Where `./x test` installs REDbot: beside what cargo builds.
fn redbot() -> Option<String> {
    let test = std::env::current_exe().ok()?;
    let redbot = test.ancestors().nth(3)?.join("python/bin/redbot");
    let redbot = redbot.to_str()?.to_owned();
    have_file(&redbot, "none; PyPI: redbot").then_some(redbot)
}
