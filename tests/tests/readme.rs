//! What the README says is true.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use lunet_tests::{Device, Namespace, read_all};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The text of the first block of code in this language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block of code");
    rest.split_once("```").unwrap().0
}

#[test]
fn what_it_links_to_is_there() {
    let text = readme();
    let links: Vec<_> =
        text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link).collect();
    assert!(links.len() >= 3);
    for link in links.into_iter().filter(|link| !link.contains("://")) {
        assert!(root().join(link).exists(), "{link}");
    }
}

#[test]
fn its_commands_are_those_of_x() {
    let help = Command::new(root().join("x")).arg("help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let text = readme();
    let commands: Vec<_> =
        text.split("./x ").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap()).collect();
    assert!(commands.len() >= 4);
    for command in commands {
        assert!(help.contains(&format!("./x {command}")), "./x {command}");
    }
    for path in text.split_whitespace().filter(|word| word.starts_with("examples/") && word.ends_with(".lua")) {
        assert!(path.contains('*') || root().join(path).exists(), "{path}");
    }
}

#[test]
fn its_script_runs() {
    let Some(namespace) = Namespace::new() else { return };
    let script = block(&readme(), "lua").to_owned() + "print('ready')";
    let mut device = Device::script(&script).start(&namespace);
    device.wait_for("ready");
    let mut client = namespace.connect("10.0.0.2:80");
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read_all(&mut client), "HTTP/1.0 200 OK\r\n\r\nHello from a device\n");
}

#[test]
fn what_is_not_there_is_said() {
    for (command, text) in
        [("image", "no ESP32 image yet"), ("fuzz", "no fuzz targets"), ("nonsense", "unknown command")]
    {
        let output = Command::new(root().join("x")).arg(command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "./x {command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(text), "./x {command}");
    }
}
