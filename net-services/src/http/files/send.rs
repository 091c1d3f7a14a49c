//! The content of a file, or parts of it, as a response (RFC 9110 section 14.6).

use core::fmt::{self, Write};

use super::super::body_writer::Count;
use super::super::{BodyWriter, Error, Response, Status};
use super::ranges::{ByteRange, Selection};
use super::{File, Metadata};

/// The most that is read from a file at once.
const LARGEST_READ: usize = 64 * 1024;

/// Begins a response with what `selection` is of a file, and completes its head.
pub(super) fn begin<'c>(
    metadata: &Metadata,
    selection: &Selection,
    content_type: &str,
    response: Response<'c>,
) -> Result<BodyWriter<'c>, Error> {
    let complete = metadata.length;
    match selection {
        Selection::Whole => response.sized(content_type, complete),
        Selection::Unsatisfiable => response.bare(),
        Selection::One(range) => {
            let response = response.status(Status::PARTIAL_CONTENT);
            response.header("Content-Range", range.content_range(complete)).sized(content_type, range.length)
        }
        Selection::Many(ranges) => {
            let boundary = Boundary::of(metadata);
            let mut length = Count(0);
            for range in ranges {
                let _ = write!(length, "{}\r\n", PartHead { boundary, content_type, range: *range, complete });
                length.0 = length.0.saturating_add(range.length);
            }
            let _ = write!(length, "{}", PartEnd(boundary));
            let mut whole = heapless::String::<80>::new();
            write!(whole, "multipart/byteranges; boundary={boundary}").map_err(|_| Error::BufferTooSmall)?;
            response.status(Status::PARTIAL_CONTENT).sized(&whole, length.0)
        }
    }
}

/// Writes what `selection` is of a file.
pub(super) async fn write<F: File>(
    writer: &mut BodyWriter<'_>,
    file: &mut F,
    selection: &Selection,
    content_type: &str,
) -> Result<(), Error> {
    let metadata = file.metadata();
    let complete = metadata.length;
    let whole = [ByteRange { first: 0, length: complete }];
    let (ranges, boundary) = match selection {
        _ if writer.is_head() => return Ok(()),
        Selection::Unsatisfiable => return Ok(()),
        Selection::Whole => (whole.as_slice(), None),
        Selection::One(range) => (core::slice::from_ref(range), None),
        Selection::Many(ranges) => (ranges.as_slice(), Some(Boundary::of(&metadata))),
    };
    for range in ranges {
        if let Some(boundary) = boundary {
            let head = PartHead { boundary, content_type, range: *range, complete };
            writer.print(format_args!("{head}")).await?;
        }
        copy(file, *range, writer).await?;
        if boundary.is_some() {
            writer.write_all(b"\r\n").await?;
        }
    }
    match boundary {
        Some(boundary) => writer.print(format_args!("{}", PartEnd(boundary))).await,
        None => Ok(()),
    }
}

/// Copies a part of a file: from memory if it lies there, else in pieces through the connection's buffer.
async fn copy<F: File>(file: &mut F, range: ByteRange, writer: &mut BodyWriter<'_>) -> Result<(), Error> {
    if let Some(bytes) = file.as_bytes() {
        let part = usize::try_from(range.first).ok().and_then(|first| bytes.get(first..));
        let part = part.zip(usize::try_from(range.length).ok()).and_then(|(part, length)| part.get(..length));
        return writer.write_all(part.ok_or(SHORTER)?).await;
    }
    let mut done = 0;
    while done < range.length {
        let room = writer.room_to_fill().await?;
        let most = usize::try_from(range.length - done).unwrap_or(LARGEST_READ).min(LARGEST_READ).min(room.len());
        let read = file.read_at(range.first + done, room.get_mut(..most).unwrap_or_default()).await?;
        if read == 0 {
            return Err(SHORTER);
        }
        writer.advance(read)?;
        done += read as u64;
    }
    Ok(())
}

/// What was announced cannot be sent any more.
const SHORTER: Error = Error::Internal("a file became shorter while it was sent");

/// What stands between parts and should stand nowhere in them: 32 digits that are the same as long as the file is.
#[derive(Clone, Copy)]
struct Boundary(u64, u64);

impl Boundary {
    fn of(metadata: &Metadata) -> Self {
        let version = metadata.version.or(metadata.modified.map(|date| date.as_micros())).unwrap_or_default();
        let first = scramble(version);
        Self(first, scramble(first ^ metadata.length))
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

/// The output function of SplitMix64: makes numbers that are alike unlike.
fn scramble(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What stands behind the last part.
struct PartEnd(Boundary);

impl fmt::Display for PartEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}--\r\n", self.0)
    }
}

/// What stands before the bytes of a part.
struct PartHead<'a> {
    boundary: Boundary,
    content_type: &'a str,
    range: ByteRange,
    complete: u64,
}

impl fmt::Display for PartHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = self.range.content_range(self.complete);
        write!(f, "--{}\r\nContent-Type: {}\r\nContent-Range: {range}\r\n\r\n", self.boundary, self.content_type)
    }
}
