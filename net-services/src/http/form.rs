//! Forms as browsers send them by default: `application/x-www-form-urlencoded`.
//!
//! ```no_run
//! use net_services::http::{Error, Form, Outcome, Request, Response, Status};
//!
//! async fn save(mut request: Request<'_>, response: Response<'_>) -> Outcome {
//!     let mut buffer = [0; 512];
//!     let form = Form::read(&mut request, &mut buffer).await?;
//!     let ssid = form.get("ssid").ok_or(Error::BadRequest("no ssid"))?;
//!     let channel: u8 = form.get("channel").map_or(Ok(6), |field| field.parse())?;
//!     # let _ = (ssid, channel);
//!     response.redirect(Status::SEE_OTHER, "/saved").await
//! }
//! ```

use super::{Error, Field, Pairs, Request, Status};

/// The content of a form.
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
    use super::*;

    #[test]
    fn media_types_compare_without_parameters() {
        for same in ["text/plain", "TEXT/Plain", "text/plain;charset=utf-8", "text/plain ; x", " text/plain\t"] {
            assert!(has_media_type(same, "text/plain"), "{same}");
        }
        for other in ["", "text", "text/plain2", "text/plain x", "text /plain", ";text/plain"] {
            assert!(!has_media_type(other, "text/plain"), "{other}");
        }
    }

    #[test]
    fn another_type_is_415() {
        assert_eq!(unsupported().status(), Status::UNSUPPORTED_MEDIA_TYPE);
    }
}
