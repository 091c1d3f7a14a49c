//! The opening handshake, the server's side of it (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use super::{Config, Origins};
use crate::http::{Error, Fields, Status};

/// What RFC 6455 section 1.3 has every server put behind the client's key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of `Sec-WebSocket-Accept`: a SHA-1 hash in base64.
const ACCEPT: usize = 28;

/// What to answer a client whose handshake is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted<'a> {
    accept: [u8; ACCEPT],
    /// The subprotocol chosen.
    pub(super) protocol: Option<&'a str>,
}

impl Accepted<'_> {
    /// The value of `Sec-WebSocket-Accept`.
    pub(super) fn accept(&self) -> &str {
        str::from_utf8(&self.accept).unwrap_or_default()
    }
}

/// Looks at the header fields of a GET request. `host`: the value of its `Host`.
pub(super) fn check<'a>(fields: &Fields<'_>, host: &str, config: &Config<'a>) -> Result<Accepted<'a>, Error> {
    let has = |name, token| fields.list(name).any(|own| own.eq_ignore_ascii_case(token));
    if !has("upgrade", "websocket") || !has("connection", "upgrade") {
        return Err(Error::UpgradeRequired);
    }
    let version = only(fields, "sec-websocket-version").ok_or(Error::BadRequest("not one WebSocket version"))?;
    if version != b"13" {
        return Err(Error::UpgradeRequired);
    }
    let accept = only(fields, "sec-websocket-key").and_then(answer);
    let accept = accept.ok_or(Error::BadRequest("not one WebSocket key of 16 bytes in base64"))?;
    if !fields.all("origin").all(|origin| may_connect(origin, host, config.origins)) {
        return Err(Error::Status(Status::FORBIDDEN, "a page from elsewhere wants a WebSocket"));
    }
    let known = |offered| config.protocols.iter().copied().find(|known| *known == offered);
    Ok(Accepted { accept, protocol: fields.list("sec-websocket-protocol").find_map(known) })
}

/// The value of a field that must be there once (RFC 6455 section 11.3).
fn only<'f>(fields: &Fields<'f>, name: &str) -> Option<&'f [u8]> {
    let mut all = fields.all(name);
    all.next().filter(|_| all.next().is_none())
}

fn may_connect(origin: &[u8], host: &str, origins: Origins<'_>) -> bool {
    let others = match origins {
        Origins::Any => return true,
        Origins::Same => &[],
        Origins::SameAnd(others) => others,
    };
    let authority = [&b"http://"[..], b"https://"].iter().find_map(|scheme| origin.strip_prefix(*scheme));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
        || others.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(origin))
}

/// The value of `Sec-WebSocket-Accept` for this key, if it is one.
fn answer(key: &[u8]) -> Option<[u8; ACCEPT]> {
    // Base64 is decoded in blocks of three bytes, which takes room for 18.
    let mut nonce = [0; 18];
    if BASE64.decode_slice(key, &mut nonce) != Ok(16) {
        return None;
    }
    let hash = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    let mut accept = [0; ACCEPT];
    (BASE64.encode_slice(hash, &mut accept) == Ok(ACCEPT)).then_some(accept)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// The example of RFC 6455 section 1.3.
    const GOOD: [(&str, &str); 5] = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn shake<'a>(config: &Config<'a>, fields: &[(&str, &str)]) -> Result<Accepted<'a>, Error> {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        check(&Fields::new(lines.as_bytes()), "example.com", config)
    }

    /// The good handshake with one field another one, or with `None` without it.
    fn with<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let others = GOOD.into_iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
        others.chain(value.map(|value| (name, value))).collect()
    }

    fn refusal(fields: &[(&str, &str)]) -> Option<Error> {
        shake(&Config::new(), fields).err()
    }

    #[test]
    fn h18_the_example_of_the_rfc_is_answered_as_there() {
        let config = Config::new();
        let accepted = shake(&config, &GOOD).unwrap();
        assert_eq!(accepted.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted.protocol, None);
    }

    #[test]
    fn h18_tokens_are_found_in_lists_and_in_any_case() {
        assert_eq!(refusal(&with("connection", Some("keep-alive , UPGRADE"))), None);
        assert_eq!(refusal(&with("UPGRADE", Some("h2c,WebSocket"))), None);
        let mut twice = with("connection", Some("upgrade"));
        twice.push(("connection", "keep-alive"));
        assert_eq!(refusal(&twice), None);
    }

    #[test]
    fn h18_what_is_no_request_for_this_version_gets_426() {
        for fields in [
            with("upgrade", None),
            with("upgrade", Some("h2c")),
            with("upgrade", Some("web socket")),
            with("connection", None),
            with("connection", Some("keep-alive")),
            with("connection", Some("xupgrade")),
            with("sec-websocket-version", Some("8")),
            with("sec-websocket-version", Some("13, 8")),
            with("sec-websocket-version", Some("013")),
        ] {
            assert_eq!(refusal(&fields), Some(Error::UpgradeRequired), "{fields:?}");
        }
    }

    #[test]
    fn h18_a_wrong_handshake_gets_400() {
        let mut cases = Vec::from([with("sec-websocket-version", None), with("sec-websocket-key", None)]);
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",   // no padding
            "dGhlIHNhbXBsZSBub25jZR==", // bits behind the end
            "dGhlIHNhbXBsZSBub25j",     // 15 bytes
            "dGhlIHNhbXBsZSBub25jZTE=", // 17 bytes
            "dGhlIHNhbXBsZSBub25jZTEy", // 18 bytes
            "dGhlIHNhbXBsZSBub25jZTEyMzQ1Njc4OTA=",
            "dGhlIHNhbXBsZSBub25jZ*==",
            "dGhlIHNhbXBs ZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            cases.push(with("sec-websocket-key", Some(key)));
        }
        for name in ["sec-websocket-version", "sec-websocket-key"] {
            let mut twice = Vec::from(GOOD);
            twice.extend(GOOD.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)));
            cases.push(twice);
        }
        for fields in cases {
            assert!(matches!(refusal(&fields), Some(Error::BadRequest(_))), "{fields:?}");
        }
    }

    #[test]
    fn h18_the_client_s_first_subprotocol_that_we_have_is_chosen() {
        let mut config = Config::new();
        config.protocols = &["chat", "superchat"];
        let chosen = |fields: &[(&str, &str)]| shake(&config, fields).unwrap().protocol;
        assert_eq!(chosen(&with("sec-websocket-protocol", Some("other, superchat,chat"))), Some("superchat"));
        assert_eq!(chosen(&with("sec-websocket-protocol", Some("other"))), None);
        // Names are compared with their case.
        assert_eq!(chosen(&with("sec-websocket-protocol", Some("Chat"))), None);
        let mut two = with("sec-websocket-protocol", Some("other"));
        two.extend([("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "superchat")]);
        assert_eq!(chosen(&two), Some("chat"));
    }

    #[test]
    fn h18_pages_of_others_are_refused_unless_allowed() {
        for origin in
            ["http://evil.example", "null", "file://", "http://example.com.evil.example", "http://example.com:81", ""]
        {
            let refused = refusal(&with("origin", Some(origin)));
            assert!(matches!(refused, Some(Error::Status(Status::FORBIDDEN, _))), "{origin}");
        }
        assert_eq!(refusal(&with("origin", Some("https://EXAMPLE.com"))), None);
        assert_eq!(refusal(&with("origin", None)), None, "a program that is no browser");

        let mut config = Config::new();
        config.origins = Origins::SameAnd(&["https://panel.example"]);
        assert!(shake(&config, &with("origin", Some("https://panel.example"))).is_ok());
        assert!(shake(&config, &with("origin", Some("http://panel.example"))).is_err());
        assert!(shake(&config, &GOOD).is_ok());
        config.origins = Origins::Any;
        assert!(shake(&config, &with("origin", Some("http://evil.example"))).is_ok());
    }
}
