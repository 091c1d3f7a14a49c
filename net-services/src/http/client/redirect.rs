//! What a redirect makes of a request (RFC 9110 section 15.4).

use super::url::Url;
use super::{ClientConfig, ClientError};
use crate::http::{Method, Status};

/// Whether a response of this status sends the client elsewhere, if it says where.
pub(super) fn is_redirect(status: Status) -> bool {
    matches!(status.code(), 301 | 302 | 303 | 307 | 308)
}

/// The method to go on with. Where it changes to GET, the body and the fields that describe it are left behind.
///
/// As browsers and curl do, and RFC 9110 allows, POST becomes GET on 301 and 302.
pub(super) fn method_after(status: Status, method: Method) -> Method {
    match (status.code(), method) {
        (303, Method::Head) => Method::Head,
        (303, _) | (301 | 302, Method::Post) => Method::Get,
        _ => method,
    }
}

/// Whether the way from one URL to the other is allowed.
///
/// # Errors
/// [`ClientError::Downgrade`].
pub(super) fn check(from: &Url<'_>, to: &Url<'_>, config: &ClientConfig) -> Result<(), ClientError> {
    if from.secure && !to.secure && !config.allow_downgrade { Err(ClientError::Downgrade) } else { Ok(()) }
}

/// Whether a field is for the server alone that the request was made for (RFC 9110 section 15.4 item 3).
pub(super) fn is_credential(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"].iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Whether a field describes the body.
pub(super) fn is_about_body(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h24_no_downgrade_without_leave() {
        let (secure, plain) = (Url::parse("https://a/").unwrap(), Url::parse("http://a/").unwrap());
        let mut config = ClientConfig::new();
        assert_eq!(check(&secure, &plain, &config), Err(ClientError::Downgrade));
        for (from, to) in [(&secure, &secure), (&plain, &secure), (&plain, &plain)] {
            assert_eq!(check(from, to, &config), Ok(()));
        }
        config.allow_downgrade = true;
        assert_eq!(check(&secure, &plain, &config), Ok(()));
    }

    #[test]
    fn h24_fields_that_do_not_go_along() {
        for name in ["Authorization", "COOKIE", "proxy-authorization"] {
            assert!(is_credential(name) && !is_about_body(name), "{name}");
        }
        for name in ["Content-Type", "content-encoding", "CONTENT-LANGUAGE"] {
            assert!(is_about_body(name) && !is_credential(name), "{name}");
        }
        for name in ["Accept", "X-Cookie", "Contents", "X", ""] {
            assert!(!is_about_body(name) && !is_credential(name), "{name}");
        }
    }
}
