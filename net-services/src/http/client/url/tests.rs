//! URLs and references: RFC 3986's tables, and what is refused.

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

fn normal(url: &str) -> Result<String, Error> {
    let mut out = [0; 300];
    let length = Url::parse(url)?.write(&mut out)?;
    Ok(String::from_utf8(out[..length].to_vec()).unwrap())
}

fn resolved(base: &str, reference: impl AsRef<[u8]>) -> Result<String, Error> {
    let mut out = [0; 300];
    let length = Url::parse(base)?.resolve(reference.as_ref(), &mut out)?;
    Ok(String::from_utf8(out[..length].to_vec()).unwrap())
}

#[test]
fn h24_urls_are_taken_apart() {
    let parts = |text| {
        let url = Url::parse(text).unwrap();
        (url.secure, url.host, url.port, url.authority().to_string(), url.target().to_string())
    };
    let expected = |secure, host, port, authority: &str, target: &str| {
        (secure, host, port, authority.to_string(), target.to_string())
    };
    assert_eq!(parts("http://a"), expected(false, "a", 80, "a", "/"));
    assert_eq!(parts("HTTP://Lamp.Local:8080/x"), expected(false, "Lamp.Local", 8080, "lamp.local:8080", "/x"));
    assert_eq!(parts("https://a.example.:443?q=1"), expected(true, "a.example.", 443, "a.example.", "/?q=1"));
    assert_eq!(parts("http://10.0.0.1:/a/b?c=/d?e#f?g"), expected(false, "10.0.0.1", 80, "10.0.0.1", "/a/b?c=/d?e"));
    assert_eq!(parts("http://[FE80::1]:8/"), expected(false, "FE80::1", 8, "[fe80::1]:8", "/"));
    assert_eq!(
        parts("http://a_b-c/%7Ex/?[1]=@:!$&'()*+,;="),
        expected(false, "a_b-c", 80, "a_b-c", "/%7Ex/?[1]=@:!$&'()*+,;=")
    );
    assert_eq!(parts("http://a/http://b/"), expected(false, "a", 80, "a", "/http://b/"));
    assert_eq!(parts("http://a#/b"), expected(false, "a", 80, "a", "/"));
}

#[test]
fn h24_what_is_no_url_is_refused_with_the_reason() {
    for (text, why) in [
        ("", "no scheme"),
        ("a", "no scheme"),
        ("/a", "no scheme"),
        ("//a/", "no scheme"),
        ("a.example:80/", "neither http nor https"),
        ("ftp://a/", "neither http nor https"),
        ("http:/a", "no host"),
        ("http:a", "no host"),
        ("http://", "no host"),
        ("http:///a", "no host"),
        ("http://:80/", "no host"),
        ("http://./", "no host"),
        ("http://user@a/", "user information before the host"),
        ("http://user:secret@a/", "user information before the host"),
        ("http://a@b@c/", "user information before the host"),
        ("http://[::1/", "no ] after the IPv6 address"),
        ("http://[]/", "not an IPv6 address"),
        ("http://[1.2.3.4]/", "not an IPv6 address"),
        ("http://[fe80::1%25eth0]/", "a zone after the IPv6 address"),
        ("http://[::1]80/", "something between ] and the port"),
        ("http://::1/", "no host"),
        ("http://a::1/", "not a port of 1 to 65535"),
        ("http://a:0/", "not a port of 1 to 65535"),
        ("http://a:65536/", "not a port of 1 to 65535"),
        ("http://a:000080/", "not a port of 1 to 65535"),
        ("http://a:+80/", "not a port of 1 to 65535"),
        ("http://a:80a/", "not a port of 1 to 65535"),
        ("http://a..b/", "not a host name"),
        ("http://.a/", "not a host name"),
        ("http://a%41/", "not a host name"),
        ("http://a,b/", "not a host name"),
        ("http://1.2.3/", "not an IPv4 address"),
        ("http://1.2.3.256/", "not an IPv4 address"),
        ("http://2130706433/", "not an IPv4 address"),
        ("http://127.0.0.0x1/", "not an IPv4 address"),
        ("http://b\u{fc}cher.example/", "a character that is not ASCII"),
        ("http://a/\u{fc}", "a character that is not ASCII"),
        ("http://a/b c", "a space"),
        (" http://a/", "a space"),
        ("http://a/\r\nX: y", "a control character"),
        ("http://a/\tb", "a control character"),
        ("http://a/\0", "a control character"),
        ("http://a\\b/", "a character that must be percent-encoded"),
        ("http://a/<b>", "a character that must be percent-encoded"),
        ("http://a/%", "a percent sign without two hexadecimal digits"),
        ("http://a/%4", "a percent sign without two hexadecimal digits"),
        ("http://a/?%4g", "a percent sign without two hexadecimal digits"),
        ("http://a/%%41", "a percent sign without two hexadecimal digits"),
    ] {
        assert_eq!(Url::parse(text).unwrap_err(), Error::InvalidUrl(why), "{text:?}");
    }
    let long = |n| ["http://", &"a".repeat(n), "/"].concat();
    assert!(Url::parse(&long(63)).is_ok());
    assert_eq!(Url::parse(&long(64)).unwrap_err(), Error::InvalidUrl("not a host name"));
}

#[test]
fn h24_the_normal_form() {
    for (text, expected) in [
        ("HTTP://A.Example:80", "http://a.example/"),
        ("https://a:443/?", "https://a/?"),
        ("https://a:80/b#c", "https://a:80/b"),
        ("http://[2001:DB8::1]:81?x", "http://[2001:db8::1]:81/?x"),
        ("http://a/./b/../c/.", "http://a/c/"),
        ("http://a/../../b/..", "http://a/"),
        ("http://a//b//../c", "http://a//b/c"),
        ("http://a/%2e%2E/b", "http://a/%2e%2E/b"),
        ("http://a:65535/", "http://a:65535/"),
    ] {
        assert_eq!(normal(text).unwrap(), expected);
        assert_eq!(normal(expected).unwrap(), expected, "the normal form is its own");
    }
    let url = Url::parse("http://a.example/b").unwrap();
    let mut out = [0; 18];
    assert_eq!(url.write(&mut out), Ok(18));
    assert_eq!(url.write(&mut out[..17]), Err(Error::BufferTooSmall));
}

/// RFC 3986 section 5.4, both tables, without the fragments, which are not for the server.
#[test]
fn h24_references_are_resolved_as_in_the_tables_of_the_rfc() {
    for (reference, expected) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        // Abnormal ones.
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g"),
        ("g#s/../x", "http://a/b/c/g"),
    ] {
        assert_eq!(resolved("http://a/b/c/d;p?q", reference).unwrap(), expected, "{reference:?}");
    }
    // The two whose scheme is not for this client, or that the RFC leaves to it.
    assert_eq!(resolved("http://a/b", "g:h"), Err(Error::InvalidUrl("neither http nor https")));
    assert_eq!(resolved("http://a/b", "http:g"), Err(Error::InvalidUrl("no host")));
}

#[test]
fn h24_references_of_servers_are_read_with_patience_but_not_too_much() {
    for (base, reference, expected) in [
        ("http://a", "b", "http://a/b"),
        ("http://a?q", "", "http://a/?q"),
        ("https://a:8443/x", "//B:443/", "https://b/"),
        ("http://a:8080/x", "/y", "http://a:8080/y"),
        ("http://[::1]:8080/x", "y", "http://[::1]:8080/y"),
        ("http://a/x", "HTTPS://b", "https://b/"),
        ("http://a/", "/b c?d|e", "http://a/b%20c?d%7Ce"),
        ("http://a/", "/b\\c", "http://a/b%5Cc"),
        ("http://a/", "b/c:d", "http://a/b/c:d"),
        ("http://a/", "http://b/\u{fc}", "http://b/%C3%BC"),
    ] {
        assert_eq!(resolved(base, reference).unwrap(), expected, "{base} {reference}");
    }
    assert_eq!(resolved("http://a/", b"/\xfc").unwrap(), "http://a/%FC");
    for (reference, why) in [
        ("//", "no host"),
        ("http:///b", "no host"),
        ("//user@b/", "user information before the host"),
        ("javascript:alert(1)", "neither http nor https"),
        ("/%", "a percent sign without two hexadecimal digits"),
        ("//b c/", "not a host name"),
        ("//b\u{fc}/", "an international host name: write it in its xn-- form"),
    ] {
        assert_eq!(resolved("http://a/", reference), Err(Error::InvalidUrl(why)), "{reference}");
    }
    assert_eq!(resolved("http://a/", b"//\xfc/"), Err(Error::InvalidUrl("a character that is not ASCII")));
    let url = Url::parse("http://a/").unwrap();
    assert_eq!(url.resolve(b"/bb", &mut [0; 10]), Err(Error::BufferTooSmall));
}

#[test]
fn h24_an_origin_is_scheme_host_and_port() {
    let is_same = |a, b| Url::parse(a).unwrap().is_same_origin(&Url::parse(b).unwrap());
    assert!(is_same("http://a/x", "HTTP://A:80?y"));
    assert!(!is_same("http://a/", "https://a/"));
    assert!(!is_same("http://a/", "http://a:81/"));
    assert!(!is_same("http://a/", "http://b/"));
    assert!(!is_same("http://a:443/", "https://a/"));
}

#[test]
fn h24_whatever_is_resolved_is_a_url_in_normal_form_again() {
    // Every reference of up to five of these characters.
    let alphabet = b"/.?#:@a%[\xff";
    let mut references = std::vec![Vec::new()];
    for _ in 0..5 {
        let longer: Vec<_> = references
            .iter()
            .flat_map(|reference: &Vec<u8>| alphabet.iter().map(|byte| [reference.as_slice(), &[*byte]].concat()))
            .collect();
        for reference in &longer {
            if let Ok(url) = resolved("http://a/b/c?d", reference) {
                assert_eq!(normal(&url).as_ref(), Ok(&url), "{reference:?}");
            }
        }
        references = longer;
    }
}
