//! What the compiler says when a handler or a route is wrong: a person must be able to read it.
//!
//! The texts are those of the toolchain that `rust-toolchain.toml` names; with another one there is nothing to compare.

#[test]
fn mistakes_are_explained() {
    let pinned = include_str!("../../rust-toolchain.toml");
    let channel = pinned.lines().find_map(|line| line.strip_prefix("channel = ")).map(|c| c.trim_matches('"'));
    let rustc = std::process::Command::new("rustc").arg("--version").output().map(|output| output.stdout);
    let version = rustc.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    if !channel.is_some_and(|channel| version.starts_with(&format!("rustc {channel} "))) {
        eprintln!("skipped: {version:?} is not {channel:?}");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI nothing is skipped");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/compile_errors/*.rs");
}
