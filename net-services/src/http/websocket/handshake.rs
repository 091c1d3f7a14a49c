//! The opening handshake, the server's side of it (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use super::{Config, Origins};

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

/// Why there is no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No request for a WebSocket, or for one of another version: 426, with the version that we have.
    Upgrade,
    /// A handshake that is wrong: 400.
    Malformed(&'static str),
    /// A page that may not connect: 403.
    Origin,
}

/// Looks at the header fields of a request, one after another.
#[derive(Debug)]
pub(super) struct Handshake<'a> {
    config: &'a Config<'a>,
    host: &'a str,
    /// The two fields that ask for the upgrade.
    upgrade: bool,
    connection: bool,
    /// `None` until there is one; then whether it is 13.
    version: Option<bool>,
    /// `None` until there is one; then the answer to it, if it is a key.
    key: Option<Option<[u8; ACCEPT]>>,
    origin_refused: bool,
    twice: bool,
    protocol: Option<&'a str>,
}

impl<'a> Handshake<'a> {
    /// `host`: the value of the request's `Host`.
    pub(super) fn new(config: &'a Config<'a>, host: &'a str) -> Self {
        Self {
            config,
            host,
            upgrade: false,
            connection: false,
            version: None,
            key: None,
            origin_refused: false,
            twice: false,
            protocol: None,
        }
    }

    pub(super) fn field(&mut self, name: &str, value: &[u8]) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("upgrade") {
            self.upgrade |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"websocket"));
        } else if is("connection") {
            self.connection |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
        } else if is("sec-websocket-version") {
            self.twice |= self.version.replace(value == b"13").is_some();
        } else if is("sec-websocket-key") {
            self.twice |= self.key.replace(answer(value)).is_some();
        } else if is("sec-websocket-protocol") {
            for offered in tokens(value) {
                let known = self.config.protocols.iter().copied().find(|known| known.as_bytes() == offered);
                self.protocol = self.protocol.or(known);
            }
        } else if is("origin") {
            self.origin_refused |= !self.may_connect(value);
        }
    }

    pub(super) fn finish(self) -> Result<Accepted<'a>, Refusal> {
        if !self.upgrade || !self.connection {
            return Err(Refusal::Upgrade);
        }
        if self.twice {
            return Err(Refusal::Malformed("WebSocket key or version given twice"));
        }
        match self.version {
            None => return Err(Refusal::Malformed("no WebSocket version")),
            Some(false) => return Err(Refusal::Upgrade),
            Some(true) => {}
        }
        let accept = self.key.flatten().ok_or(Refusal::Malformed("WebSocket key is not 16 bytes in base64"))?;
        if self.origin_refused {
            return Err(Refusal::Origin);
        }
        Ok(Accepted { accept, protocol: self.protocol })
    }

    fn may_connect(&self, origin: &[u8]) -> bool {
        let others = match self.config.origins {
            Origins::Any => return true,
            Origins::Same => &[],
            Origins::SameAnd(others) => others,
        };
        let authority = ["http://", "https://"].iter().find_map(|scheme| origin.strip_prefix(scheme.as_bytes()));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(self.host.as_bytes()))
            || others.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(origin))
    }
}

/// The elements of a list (RFC 9110 section 5.6.1).
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
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

    fn shake<'a>(config: &'a Config<'a>, fields: &[(&str, &str)]) -> Result<Accepted<'a>, Refusal> {
        let mut handshake = Handshake::new(config, "example.com");
        for (name, value) in fields {
            handshake.field(name, value.as_bytes());
        }
        handshake.finish()
    }

    /// The good handshake with one field another one, or with `None` without it.
    fn with<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let others = GOOD.into_iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name));
        others.chain(value.map(|value| (name, value))).collect()
    }

    fn refusal(fields: &[(&str, &str)]) -> Option<Refusal> {
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
            assert_eq!(refusal(&fields), Some(Refusal::Upgrade), "{fields:?}");
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
            assert!(matches!(refusal(&fields), Some(Refusal::Malformed(_))), "{fields:?}");
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
        for origin in ["http://evil.example", "null", "file://", "http://example.com.evil.example", "http://example.com:81", ""] {
            assert_eq!(refusal(&with("origin", Some(origin))), Some(Refusal::Origin), "{origin}");
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
