//! Status codes (RFC 9110 section 15 and the registry of IANA).

use core::fmt;

/// A status code, 100 to 999. `Display` writes it with its reason phrase: `404 Not Found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status(u16);

impl Status {
    /// 100 Continue.
    pub const CONTINUE: Self = Self(100);
    /// 101 Switching Protocols.
    pub const SWITCHING_PROTOCOLS: Self = Self(101);
    /// 103 Early Hints.
    pub const EARLY_HINTS: Self = Self(103);
    /// 200 OK.
    pub const OK: Self = Self(200);
    /// 201 Created.
    pub const CREATED: Self = Self(201);
    /// 202 Accepted.
    pub const ACCEPTED: Self = Self(202);
    /// 203 Non-Authoritative Information.
    pub const NON_AUTHORITATIVE_INFORMATION: Self = Self(203);
    /// 204 No Content.
    pub const NO_CONTENT: Self = Self(204);
    /// 205 Reset Content.
    pub const RESET_CONTENT: Self = Self(205);
    /// 206 Partial Content.
    pub const PARTIAL_CONTENT: Self = Self(206);
    /// 300 Multiple Choices.
    pub const MULTIPLE_CHOICES: Self = Self(300);
    /// 301 Moved Permanently.
    pub const MOVED_PERMANENTLY: Self = Self(301);
    /// 302 Found.
    pub const FOUND: Self = Self(302);
    /// 303 See Other.
    pub const SEE_OTHER: Self = Self(303);
    /// 304 Not Modified.
    pub const NOT_MODIFIED: Self = Self(304);
    /// 307 Temporary Redirect.
    pub const TEMPORARY_REDIRECT: Self = Self(307);
    /// 308 Permanent Redirect.
    pub const PERMANENT_REDIRECT: Self = Self(308);
    /// 400 Bad Request.
    pub const BAD_REQUEST: Self = Self(400);
    /// 401 Unauthorized.
    pub const UNAUTHORIZED: Self = Self(401);
    /// 402 Payment Required.
    pub const PAYMENT_REQUIRED: Self = Self(402);
    /// 403 Forbidden.
    pub const FORBIDDEN: Self = Self(403);
    /// 404 Not Found.
    pub const NOT_FOUND: Self = Self(404);
    /// 405 Method Not Allowed.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// 406 Not Acceptable.
    pub const NOT_ACCEPTABLE: Self = Self(406);
    /// 407 Proxy Authentication Required.
    pub const PROXY_AUTHENTICATION_REQUIRED: Self = Self(407);
    /// 408 Request Timeout.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// 409 Conflict.
    pub const CONFLICT: Self = Self(409);
    /// 410 Gone.
    pub const GONE: Self = Self(410);
    /// 411 Length Required.
    pub const LENGTH_REQUIRED: Self = Self(411);
    /// 412 Precondition Failed.
    pub const PRECONDITION_FAILED: Self = Self(412);
    /// 413 Content Too Large.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// 414 URI Too Long.
    pub const URI_TOO_LONG: Self = Self(414);
    /// 415 Unsupported Media Type.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    /// 416 Range Not Satisfiable.
    pub const RANGE_NOT_SATISFIABLE: Self = Self(416);
    /// 417 Expectation Failed.
    pub const EXPECTATION_FAILED: Self = Self(417);
    /// 421 Misdirected Request.
    pub const MISDIRECTED_REQUEST: Self = Self(421);
    /// 422 Unprocessable Content.
    pub const UNPROCESSABLE_CONTENT: Self = Self(422);
    /// 423 Locked.
    pub const LOCKED: Self = Self(423);
    /// 425 Too Early.
    pub const TOO_EARLY: Self = Self(425);
    /// 426 Upgrade Required.
    pub const UPGRADE_REQUIRED: Self = Self(426);
    /// 428 Precondition Required.
    pub const PRECONDITION_REQUIRED: Self = Self(428);
    /// 429 Too Many Requests.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// 431 Request Header Fields Too Large.
    pub const REQUEST_HEADER_FIELDS_TOO_LARGE: Self = Self(431);
    /// 451 Unavailable For Legal Reasons.
    pub const UNAVAILABLE_FOR_LEGAL_REASONS: Self = Self(451);
    /// 500 Internal Server Error.
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 501 Not Implemented.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// 502 Bad Gateway.
    pub const BAD_GATEWAY: Self = Self(502);
    /// 503 Service Unavailable.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 504 Gateway Timeout.
    pub const GATEWAY_TIMEOUT: Self = Self(504);
    /// 505 HTTP Version Not Supported.
    pub const HTTP_VERSION_NOT_SUPPORTED: Self = Self(505);
    /// 507 Insufficient Storage.
    pub const INSUFFICIENT_STORAGE: Self = Self(507);
    /// 511 Network Authentication Required.
    pub const NETWORK_AUTHENTICATION_REQUIRED: Self = Self(511);

    /// The status of this number, if it has three digits and the first is not 0.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 999 { Some(Self(code)) } else { None }
    }

    /// Its number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Its reason phrase; `""` for a number without a name here.
    pub const fn reason(self) -> &'static str {
        let mut i = 0;
        while i < REASONS.len() {
            if REASONS[i].0 == self.0 {
                return REASONS[i].1;
            }
            i += 1;
        }
        ""
    }

    /// 1xx: the final response is still to come.
    pub const fn is_informational(self) -> bool {
        self.0 / 100 == 1
    }

    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 / 100 == 2
    }

    /// 3xx.
    pub const fn is_redirection(self) -> bool {
        self.0 / 100 == 3
    }

    /// 4xx and above: something went wrong.
    pub const fn is_error(self) -> bool {
        self.0 >= 400
    }

    /// Whether responses of this status never have a body, whatever their fields say: 1xx, 204, 304 (RFC 9112 section
    /// 6.3).
    pub const fn is_bodiless(self) -> bool {
        self.is_informational() || matches!(self.0, 204 | 304)
    }
}

/// The reason phrases. A table takes half the memory of a `match`.
const REASONS: [(u16, &str); 52] = [
    (100, "Continue"),
    (101, "Switching Protocols"),
    (103, "Early Hints"),
    (200, "OK"),
    (201, "Created"),
    (202, "Accepted"),
    (203, "Non-Authoritative Information"),
    (204, "No Content"),
    (205, "Reset Content"),
    (206, "Partial Content"),
    (300, "Multiple Choices"),
    (301, "Moved Permanently"),
    (302, "Found"),
    (303, "See Other"),
    (304, "Not Modified"),
    (307, "Temporary Redirect"),
    (308, "Permanent Redirect"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (402, "Payment Required"),
    (403, "Forbidden"),
    (404, "Not Found"),
    (405, "Method Not Allowed"),
    (406, "Not Acceptable"),
    (407, "Proxy Authentication Required"),
    (408, "Request Timeout"),
    (409, "Conflict"),
    (410, "Gone"),
    (411, "Length Required"),
    (412, "Precondition Failed"),
    (413, "Content Too Large"),
    (414, "URI Too Long"),
    (415, "Unsupported Media Type"),
    (416, "Range Not Satisfiable"),
    (417, "Expectation Failed"),
    (421, "Misdirected Request"),
    (422, "Unprocessable Content"),
    (423, "Locked"),
    (425, "Too Early"),
    (426, "Upgrade Required"),
    (428, "Precondition Required"),
    (429, "Too Many Requests"),
    (431, "Request Header Fields Too Large"),
    (451, "Unavailable For Legal Reasons"),
    (500, "Internal Server Error"),
    (501, "Not Implemented"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (505, "HTTP Version Not Supported"),
    (507, "Insufficient Storage"),
    (511, "Network Authentication Required"),
];

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_status_is_written_as_in_a_status_line() {
        assert_eq!(Status::NOT_FOUND.to_string(), "404 Not Found");
        // The space stays without a reason phrase (RFC 9112 section 4).
        assert_eq!(Status::new(299).unwrap().to_string(), "299 ");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(1000), None);
        assert_eq!(Status::new(999).map(Status::code), Some(999));
    }

    #[test]
    fn h15_statuses_without_a_body() {
        for code in [100, 101, 103, 199, 204, 304] {
            assert!(Status::new(code).unwrap().is_bodiless(), "{code}");
        }
        for code in [200, 205, 206, 301, 404, 500] {
            assert!(!Status::new(code).unwrap().is_bodiless(), "{code}");
        }
    }
}
