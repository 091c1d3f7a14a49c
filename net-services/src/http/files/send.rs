//! The content of a file, or parts of it, as a response.

use core::fmt::{self, Write};

use super::super::response::Count;
use super::super::{BodyWriter, Error, Outcome, Response, Status};
use super::File;
use super::ranges::{ByteRange, Selection};

/// The most that is read from a file at once.
const LARGEST_READ: usize = 64 * 1024;

/// Sends what `selection` is of the file.
pub(super) async fn selected<F: File>(
    file: &mut F,
    selection: &Selection,
    content_type: &str,
    response: Response<'_>,
) -> Outcome {
    let length = file.metadata().length;
    match selection {
        Selection::One(range) => {
            let response =
                response.status(Status::PARTIAL_CONTENT).header("Content-Range", range.content_range(length));
            one(file, *range, content_type, response).await
        }
        Selection::Many(ranges) => many(file, ranges, content_type, response).await,
        Selection::Whole | Selection::Unsatisfiable => {
            one(file, ByteRange { first: 0, length }, content_type, response).await
        }
    }
}

async fn one<F: File>(file: &mut F, range: ByteRange, content_type: &str, response: Response<'_>) -> Outcome {
    let mut writer = response.sized(content_type, range.length)?;
    if !writer.is_head() {
        copy(file, range, &mut writer).await?;
    }
    writer.finish().await
}

/// Sends several parts as `multipart/byteranges` (RFC 9110 section 14.6).
async fn many<F: File>(file: &mut F, ranges: &[ByteRange], content_type: &str, response: Response<'_>) -> Outcome {
    let boundary = Boundary::of(file);
    let complete = file.metadata().length;
    let head = |range: &ByteRange| PartHead { boundary, content_type, range: *range, complete };
    let end = format_args!("--{boundary}--\r\n");

    let mut length = Count(0);
    for range in ranges {
        let _ = write!(length, "{}\r\n", head(range));
        length.0 = length.0.saturating_add(range.length);
    }
    let _ = length.write_fmt(end);

    // Made by hand, as the type of the whole is not a constant.
    let mut whole = heapless::String::<80>::new();
    write!(whole, "multipart/byteranges; boundary={boundary}").map_err(|_| Error::BufferTooSmall)?;
    let mut writer = response.status(Status::PARTIAL_CONTENT).sized(&whole, length.0)?;
    if !writer.is_head() {
        for range in ranges {
            writer.print(format_args!("{}", head(range))).await?;
            copy(file, *range, &mut writer).await?;
            writer.write_all(b"\r\n").await?;
        }
        writer.print(end).await?;
    }
    writer.finish().await
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
    fn of<F: File>(file: &F) -> Self {
        let metadata = file.metadata();
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
