//! Uploads: forms in `multipart/form-data` (RFC 7578), part by part as they arrive.
//!
//! The parser is the crate `nostd-multipart`, the one that streams without a heap; `multer` and `multiparty` need `std`.

mod decoder;

use super::form::{has_media_type, unsupported};
use super::{Body, Error, Request};
use decoder::{Decoder, Step};

/// Bytes of a part's name.
const NAME: usize = 64;
/// Bytes of a part's file name.
const FILE_NAME: usize = 128;
/// Bytes of a part's content type: the longest registered names, and a parameter.
const CONTENT_TYPE: usize = 96;
/// Parts of one form.
const PARTS: usize = 32;

/// A `multipart/form-data` body, read part by part as it arrives: the form to upload files with.
///
/// Nothing is held but the name, file name and type of the part that is being read, about 800 bytes in all. The content
/// goes from the connection's buffer to wherever the handler puts it, so a file may be larger than all memory.
///
/// Limits, and what the client is told beyond them:
///
/// | | limit | status |
/// |---|---|---|
/// | parts | 32, or [`limit_parts`](Self::limit_parts) | 413 |
/// | name | 64 bytes | 400 |
/// | file name, without directories | 128 bytes | 400 |
/// | content type of a part | 96 bytes | 400 |
/// | header of a part | 8 lines of 384 bytes | 431 |
/// | whole body | [`Body::limit`] | 413 |
///
/// Any buffer that a connection can have is large enough, however long the head of the request.
///
/// ```no_run
/// use net_services::http::{Error, Multipart, Outcome, Request, Response};
/// # async fn write_to_flash(_: &[u8]) -> Result<(), Error> { Ok(()) }
///
/// async fn upload(mut request: Request<'_>, response: Response<'_>) -> Outcome {
///     request.body.limit(4 * 1024 * 1024);
///     let mut form = Multipart::new(&mut request)?;
///     let mut written = 0;
///     while let Some(mut part) = form.next().await? {
///         match part.name() {
///             "version" => {
///                 let mut buffer = [0; 32];
///                 let version = part.read_text(&mut buffer).await?;
///                 if version != "2" {
///                     return Err(Error::BadRequest("not for this device"));
///                 }
///             }
///             "firmware" => loop {
///                 let data = part.fill_buf().await?;
///                 if data.is_empty() {
///                     break;
///                 }
///                 write_to_flash(data).await?;
///                 let n = data.len();
///                 part.consume(n);
///                 written += n;
///             },
///             // What is not read is skipped.
///             _ => {}
///         }
///     }
///     response.print("text/plain", format_args!("{written} bytes written")).await
/// }
/// ```
pub struct Multipart<'r, 'c> {
    body: &'r mut Body<'c>,
    decoder: Decoder<'c>,
    place: Place,
}

/// Where in the body the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Between,
    /// In the content of a part, whose next `ready` bytes are at the front of the body's buffer.
    Part {
        ready: usize,
    },
    End,
}

impl<'r, 'c> Multipart<'r, 'c> {
    /// The form in the body of this request.
    ///
    /// # Errors
    /// 415 when the request has another content type, [`Error::BadRequest`] when it names no valid boundary
    /// (RFC 2046 section 5.1.1).
    pub fn new(request: &'r mut Request<'c>) -> Result<Self, Error> {
        let content_type = request.header("content-type").unwrap_or_default();
        if !has_media_type(content_type, "multipart/form-data") {
            return Err(unsupported());
        }
        let decoder = Decoder::new(content_type, PARTS)?;
        Ok(Self { body: &mut request.body, decoder, place: Place::Between })
    }

    /// Takes up to `parts` more parts.
    pub fn limit_parts(&mut self, parts: usize) {
        self.decoder.set_parts(parts);
    }

    /// The next part; `None` when there are no more. What has not been read of the one before is skipped.
    ///
    /// # Errors
    /// - [`Error::BadRequest`] for a body that is no form, and one that ends too early.
    /// - [`Error::Status`] and [`Error::BadRequest`] for what is beyond a limit, see above.
    /// - Those of [`Body::fill_buf`].
    #[allow(clippy::should_implement_trait)] // it is async
    pub async fn next(&mut self) -> Result<Option<Part<'_, 'r, 'c>>, Error> {
        loop {
            match self.place {
                Place::End => return Ok(None),
                Place::Part { .. } => {
                    let n = self.fill_buf().await?.len();
                    self.consume(n);
                }
                Place::Between => match self.step().await? {
                    Step::Part { skip } => {
                        self.body.consume(skip);
                        self.place = Place::Part { ready: 0 };
                        return Ok(Some(Part { form: self }));
                    }
                    Step::End { skip } => {
                        self.body.consume(skip);
                        self.place = Place::End;
                    }
                    // No content without a part: the decoder does not do this.
                    Step::More { skip } | Step::PartEnd { skip } | Step::Data { length: skip } => {
                        self.body.consume(skip);
                    }
                },
            }
        }
    }

    /// Content of the part; empty at its end.
    async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        if self.place == (Place::Part { ready: 0 }) {
            match self.step().await? {
                Step::Data { length } => self.place = Place::Part { ready: length },
                Step::PartEnd { skip } | Step::More { skip } | Step::Part { skip } | Step::End { skip } => {
                    self.body.consume(skip);
                    self.place = Place::Between;
                }
            }
        }
        let ready = if let Place::Part { ready } = self.place { ready } else { 0 };
        Ok(self.body.buffered().get(..ready).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        if let Place::Part { ready } = &mut self.place {
            let n = n.min(*ready);
            *ready -= n;
            self.body.consume(n);
        }
    }

    /// The next step that is more than [`Step::More`].
    async fn step(&mut self) -> Result<Step, Error> {
        loop {
            let is_last = self.body.is_ended();
            match self.decoder.next(self.body.buffered(), is_last)? {
                Step::More { .. } if is_last => return Err(Error::BodyIncomplete),
                Step::More { skip } => {
                    self.body.consume(skip);
                    self.body.fill_more().await?;
                }
                step => return Ok(step),
            }
        }
    }
}

/// A part of a form: a field, or a file.
///
/// What it says of itself comes from the client. A file name is for showing; before it becomes a path, check it.
pub struct Part<'m, 'r, 'c> {
    form: &'m mut Multipart<'r, 'c>,
}

impl Part<'_, '_, '_> {
    /// The name of the field.
    pub fn name(&self) -> &str {
        &self.form.decoder.head().name
    }

    /// The name of the file, without the directories that some clients send, and without control characters. Empty when
    /// the user chose none, and for names such as `..`; `None` when the part is no file.
    pub fn file_name(&self) -> Option<&str> {
        self.form.decoder.head().file_name.as_deref()
    }

    /// The media type that the client takes the content for. Where it says nothing, it is text (RFC 7578 section 4.4).
    pub fn content_type(&self) -> Option<&str> {
        self.form.decoder.head().content_type.as_deref()
    }

    /// What has been received of the content and not been [consumed](Self::consume); waits if that is nothing. Empty at
    /// its end.
    ///
    /// # Errors
    /// Those of [`Multipart::next`].
    pub async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        self.form.fill_buf().await
    }

    /// Takes `n` bytes off what [`fill_buf`](Self::fill_buf) gave, at most all of it.
    pub fn consume(&mut self, n: usize) {
        self.form.consume(n);
    }

    /// Reads some of the content: 0 at its end, and for an empty buffer.
    ///
    /// # Errors
    /// Those of [`Multipart::next`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let data = self.fill_buf().await?;
        let n = data.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), data.get(..n)) {
            to.copy_from_slice(from);
        }
        self.consume(n);
        Ok(n)
    }

    /// Reads all that is left of the content.
    ///
    /// # Errors
    /// Those of [`Multipart::next`], and [`Error::BodyTooLarge`] when it does not fit into `buffer`.
    pub async fn read_all<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let mut length = 0;
        loop {
            let data = self.fill_buf().await?;
            let n = data.len();
            if n == 0 {
                return Ok(buffer.get(..length).unwrap_or_default());
            }
            buffer.get_mut(length..length + n).ok_or(Error::BodyTooLarge)?.copy_from_slice(data);
            length += n;
            self.consume(n);
        }
    }

    /// Reads all that is left of the content, which is text.
    ///
    /// # Errors
    /// Those of [`read_all`](Self::read_all), and [`Error::BadRequest`] when it is not UTF-8.
    pub async fn read_text<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b str, Error> {
        let text = self.read_all(buffer).await?;
        core::str::from_utf8(text).map_err(|_| Error::BadRequest("a field of the form is not UTF-8"))
    }
}

impl core::fmt::Debug for Part<'_, '_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (name, file_name, content_type) = (self.name(), self.file_name(), self.content_type());
        f.debug_struct("Part").field("name", &name).field("file_name", &file_name).field("type", &content_type).finish()
    }
}

impl embedded_io_async::ErrorType for Part<'_, '_, '_> {
    type Error = Error;
}

impl embedded_io_async::Read for Part<'_, '_, '_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Part::read(self, buffer).await
    }
}

impl embedded_io_async::BufRead for Part<'_, '_, '_> {
    async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        Part::fill_buf(self).await
    }

    fn consume(&mut self, n: usize) {
        Part::consume(self, n);
    }
}

#[cfg(test)]
mod tests;
