//! Handlers that read bodies and stream answers: those of examples/http-server.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};

use lunet_tests::{Folder, Namespace, data, have, read_all};

use super::{PYTHON, Place, have_file, start_example};

/// Bytes of a large upload.
const SIZE: usize = 5_000_000;

fn sum(data: &[u8]) -> u64 {
    data.iter().map(|byte| u64::from(*byte)).sum()
}

/// Forms, uploads with and without a length, downloads and events.
fn curl(place: Place) {
    if !have(&["curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let (mut server, url) = start_example(&namespace, place);
    let curl = |arguments: &[&str]| {
        let output = namespace.run("curl", &[&["-sS", "--max-time", "60"], arguments].concat());
        (output.out, output.err.replace("\r\n", "\n"))
    };
    let url = |path: &str| format!("{url}{path}");
    let (upload, count, name) = (url("/upload"), url("/count"), url("/name"));
    let folder = Folder::new();
    let large = data(1, SIZE);
    let file = folder.write("large.bin", &large);
    let file = file.to_str().unwrap();
    let all_of_it = format!("{SIZE} bytes, sum {}\n", sum(&large));

    // H-10, H-19: a form with a large file, for which curl waits to be told to go on.
    let (answer, talk) =
        curl(&["-v", "-F", "note=hello", "-F", &format!("files=@{file};filename=\"ä b.bin\""), &upload]);
    assert_eq!(answer, format!("note: 5 bytes, sum {}\nfiles \"ä b.bin\": {all_of_it}", sum(b"hello")));
    assert!(talk.contains("> Expect: 100-continue\n") && talk.contains("< HTTP/1.1 100 Continue\n"), "{talk}");

    // H-8: of a length that curl does not know itself, in chunks; then the same file with its length, on one
    // connection.
    let chunked = namespace.run_with_input("curl", &["-sS", "--max-time", "60", "-T", "-", &count], &large).ok();
    assert_eq!(chunked, all_of_it);
    let format = "%{http_code} %{num_connects}\n";
    let (twice, _) = curl(&["-w", format, "-T", file, &count, "-T", file, &count]);
    assert_eq!(twice, format!("{all_of_it}200 1\n{all_of_it}200 0\n"));

    // H-9: too much is refused before it is sent.
    let huge = folder.path().join("huge");
    File::create(&huge).unwrap().set_len(3 << 30).unwrap();
    let (refused, _) =
        curl(&["-T", huge.to_str().unwrap(), "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", &count]);
    assert_eq!(refused, "413 0");

    // A form that is text, and the redirection after it.
    let (page, _) =
        curl(&["-L", "--data-urlencode", "name=K\u{fc}hl & \"x\"", &name, "-w", "%{http_code} %{num_redirects}"]);
    assert!(page.ends_with("</html>\n200 1") || page.ends_with("</script>\n200 1"), "{page}");
    assert_eq!(curl(&[&name]).0, "K\u{fc}hl & \"x\"");
    assert_eq!(curl(&["-d", "nonsense=1", &name, "-w", " %{http_code}"]).0, "Bad Request 400");

    // H-15: what is made on the way; of HEAD only the head.
    let made = folder.path().join("made");
    curl(&["-o", made.to_str().unwrap(), &url("/download/3000000")]);
    let made = fs::read(made).unwrap();
    assert!(made.len() == 3_000_000 && made.iter().enumerate().all(|(number, byte)| number as u8 == *byte));
    let (head, _) = curl(&["-I", &url("/download/100000000000")]);
    assert!(head.contains("Content-Length: 100000000000\r\n"), "{head}");
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &url("/chat")]).0, "426");

    // Events go on until the client has had enough, and its place is free then.
    let mut events = namespace.start(Command::new("curl").args(["-sSN", &url("/events")]).stdin(Stdio::null()));
    for _ in 0..3 {
        assert_eq!(events.wait_for("event: "), "event: uptime");
        assert!(events.line().starts_with("data: "));
    }
    drop(events);
    server.wait_for("GET /events HTTP/1.1: 200 OK");
    server.interrupt();
    server.finish().ok();
}

#[test]
fn h19_curl_on_a_device() {
    curl(Place::Tap);
}

#[test]
fn h19_curl_on_the_computer() {
    curl(Place::Host);
}

/// Pipelined uploads of all kinds, and what Python's clients send.
#[test]
fn h14_uploads_in_a_pipeline() {
    let Some(namespace) = Namespace::new() else { return };
    let (_server, url) = start_example(&namespace, Place::Tap);
    let mut stream = namespace.connect(url.trim_start_matches("http://"));
    let requests = "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
        PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=\"y\"\r\nlo\r\n0\r\nX: y\r\n\r\n\
        POST /name HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello\
        GET /download/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(requests.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answers = read_all(&mut stream);
    let bodies: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.split(' ').next().unwrap(), body)
        })
        .collect();
    let counted = "5 bytes, sum 532\n";
    let wanted = [("200", counted), ("200", counted), ("415", "Unsupported Media Type"), ("200", "\0\x01\x02\x03\x04")];
    assert_eq!(bodies, wanted);
}

fn python(place: Place) {
    if !have_file("/usr/lib/python3/dist-packages/requests/__init__.py", "python3-requests") {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let (_server, url) = start_example(&namespace, place);
    let program = r#"
import http.client, io, os, sys
import requests
url = sys.argv[1]
data = os.urandom(1000000)
whole = '%d bytes, sum %d\n' % (len(data), sum(data))

connection = http.client.HTTPConnection(url.split('/')[2], timeout=60)
for body in (data, io.BytesIO(data), (data[n:n + 999] for n in range(0, len(data), 999))):
    connection.request('POST', '/count', body=body)
    assert connection.getresponse().read().decode() == whole
connection.close()

with requests.Session() as session:
    files = [('files', ('%d.bin' % number, data, 'application/x-test')) for number in range(3)]
    response = session.post(url + '/upload', data={'note': 'hello'}, files=files, timeout=60)
    wanted = 'note: 5 bytes, sum 532\n' + ''.join('files "%d.bin": %s' % (n, whole) for n in range(3))
    assert response.text == wanted, response.text
    response = session.post(url + '/count', data=(data[n:n + 999] for n in range(0, len(data), 999)), timeout=60)
    assert response.text == whole
    response = session.post(url + '/name', data={'name': 'Kühl'}, timeout=60)
    assert response.url == url + '/' and [r.status_code for r in response.history] == [303]
    assert session.get(url + '/name', timeout=60).text == 'Kühl'
    with session.get(url + '/events', stream=True, timeout=60) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)][0] == b'event: uptime'
print('done')
"#;
    assert_eq!(namespace.run(PYTHON, &["-c", program, &url]).ok(), "done\n");
}

#[test]
fn h19_python_on_a_device() {
    python(Place::Tap);
}

#[test]
fn h19_python_on_the_computer() {
    python(Place::Host);
}

/// A client that does not read costs nothing but its place; the upload of another goes on beside it.
#[test]
fn h16_a_download_that_nobody_reads_holds_nobody_up() {
    let Some(namespace) = Namespace::new() else { return };
    let (_server, url) = start_example(&namespace, Place::Tap);
    let address = url.trim_start_matches("http://");
    let mut idle = namespace.connect(address);
    idle.write_all(b"GET /download/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 1]).unwrap();
    let mut other = namespace.connect(address);
    let head = format!("PUT /count HTTP/1.0\r\nContent-Length: {SIZE}\r\n\r\n");
    let body = data(2, SIZE);
    other.write_all(head.as_bytes()).unwrap();
    other.write_all(&body).unwrap();
    assert!(read_all(&mut other).ends_with(&format!("\r\n\r\n{SIZE} bytes, sum {}\n", sum(&body))));
}
