//! Forms as browsers send them by default: `application/x-www-form-urlencoded`.

use super::{Error, Field, Pairs, Request, Status};

/// The content of a form.
///
/// ```no_run
/// use net_services::http::{Error, Form, Outcome, Request, Response, Status};
///
/// async fn save(mut request: Request<'_>, response: Response<'_>) -> Outcome {
///     let mut buffer = [0; 512];
///     let form = Form::read(&mut request, &mut buffer).await?;
///     let ssid = form.get("ssid").ok_or(Error::BadRequest("no ssid"))?;
///     let channel: u8 = form.get("channel").map_or(Ok(6), |field| field.parse())?;
///     # let _ = (ssid, channel);
///     response.redirect(Status::SEE_OTHER, "/saved").await
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Form<'b> {
    raw: &'b [u8],
}

impl<'b> Form<'b> {
    /// Reads the body of a request, which must be such a form, into `buffer`.
    ///
    /// # Errors
    /// - 415 when the request has another content type.
    /// - [`Error::BodyTooLarge`] when it is larger than `buffer`.
    /// - Those of [`Body::fill_buf`](super::Body::fill_buf).
    pub async fn read(request: &mut Request<'_>, buffer: &'b mut [u8]) -> Result<Self, Error> {
        let content_type = request.header("content-type").unwrap_or_default();
        if !has_media_type(content_type, "application/x-www-form-urlencoded") {
            return Err(unsupported());
        }
        Ok(Self { raw: request.body.read_all(buffer).await? })
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<Field<'b>> {
        self.pairs().get(name)
    }

    /// The names and values, in the order they were sent.
    pub fn pairs(&self) -> Pairs<'b> {
        Pairs::new(self.raw)
    }
}

/// Whether a `Content-Type` is of this type, whatever its parameters (RFC 9110 section 8.3.1).
pub(super) fn has_media_type(content_type: &str, expected: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t']).eq_ignore_ascii_case(expected)
}

/// The answer to a form of the wrong type.
pub(super) fn unsupported() -> Error {
    Error::Status(Status::UNSUPPORTED_MEDIA_TYPE, "the request is no form of this type")
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use super::super::testing::{Client, talk};
    use super::super::{Outcome, Response};
    use super::*;

    /// Tells what is in a form of up to 64 bytes.
    async fn list(mut request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 64];
        let form = Form::read(&mut request, &mut buffer).await?;
        let mut all = String::new();
        for (name, value) in form.pairs() {
            all += &format!("[{name}]=[{value}] ");
        }
        let (a, query) = (form.get("a"), request.query_field("a"));
        response.text(&format!("{all}{a:?} {query:?}")).await
    }

    fn post(content_type: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "POST /?a=%71 HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    fn status(client: &Client) -> u16 {
        client.text().get(9..12).unwrap().parse().unwrap()
    }

    const URLENCODED: &str = "application/x-www-form-urlencoded";

    #[test]
    fn h19_a_form_is_read_however_it_is_cut() {
        let expected = "[ssid]=[caf\u{e9} & co] [a]=[1] [a]=[2] Some(\"1\") Some(\"%71\")";
        let request = post(URLENCODED, "ssid=caf%C3%A9+%26+co&a=1&a=2");
        for cut in 0..request.len() {
            let text = talk(&list, [&request[..cut], &request[cut..]]).text();
            assert_eq!(text.split_once("\r\n\r\n").unwrap().1, expected, "cut at {cut}");
        }
        let chunked = format!(
            "POST /?a=%71 HTTP/1.1\r\nHost: x\r\nContent-Type: {URLENCODED}\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "7\r\nssid=ca\r\n5\r\nf%C3%\r\n11\r\nA9+%26+co&a=1&a=2\r\n0\r\n\r\n"
        );
        assert!(talk(&list, [chunked]).text().ends_with(expected));
    }

    #[test]
    fn h19_a_form_larger_than_the_buffer_is_413() {
        assert_eq!(status(&talk(&list, [post(URLENCODED, &"a".repeat(64))])), 200);
        assert_eq!(status(&talk(&list, [post(URLENCODED, &"a".repeat(65))])), 413);
    }

    #[test]
    fn another_type_is_415() {
        for (content_type, expected) in [
            (URLENCODED, 200),
            ("Application/X-WWW-Form-URLencoded;charset=UTF-8", 200),
            ("multipart/form-data; boundary=B", 415),
            ("application/json", 415),
            ("", 415),
        ] {
            assert_eq!(status(&talk(&list, [post(content_type, "a=1")])), expected, "{content_type}");
        }
    }

    #[test]
    fn media_types_compare_without_parameters() {
        for same in ["text/plain", "TEXT/Plain", "text/plain;charset=utf-8", "text/plain ; x", " text/plain\t"] {
            assert!(has_media_type(same, "text/plain"), "{same}");
        }
        for other in ["", "text", "text/plain2", "text/plain x", "text /plain", ";text/plain"] {
            assert!(!has_media_type(other, "text/plain"), "{other}");
        }
    }
}
