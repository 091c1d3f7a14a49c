//! Server-sent events: a response that goes on, which a page reads with `EventSource` (WHATWG HTML, section 9.2).

use core::fmt::{self, Write as _};

use net_core::time::Duration;

use super::{BodyWriter, Error, Outcome, Request, Response};

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// What kind of event it is: the name that the page listens to. `None` is `message`.
    pub event: Option<&'a str>,
    /// What the client says with [`last_event_id`] when it connects again; `Some("")` makes it say nothing.
    pub id: Option<&'a str>,
    /// Its text, of any number of lines. The page sees every line end as `\n`.
    pub data: &'a str,
    /// How long the client is to wait before it connects again, from now on, in whole milliseconds.
    pub retry: Option<Duration>,
}

impl<'a> Event<'a> {
    /// An event of this text and nothing else.
    pub const fn new(data: &'a str) -> Self {
        Self { event: None, id: None, data, retry: None }
    }
}

/// The id of the last event that the client got on an earlier connection, from its `Last-Event-ID` field. It is the
/// client's word, and may be anything.
pub fn last_event_id<'c>(request: &Request<'c>) -> Option<&'c str> {
    request.header("last-event-id").filter(|id| !id.is_empty())
}

/// A response in `text/event-stream`, which goes on for as long as there is something to tell. Every call sends at once
/// what it writes.
///
/// That a client is gone shows when something is written to it. So that its place becomes free, send at least a
/// [`comment`](Self::comment) every minute or so; that also keeps proxies from closing the connection.
///
/// ```no_run
/// use net_core::time::{Duration, Timer};
/// use net_services::http::{Event, EventStream, Outcome, Request, Response};
/// # fn volts() -> f32 { 3.3 }
///
/// async fn measurements(_: Request<'_>, response: Response<'_>) -> Outcome {
///     let mut events = EventStream::start(response).await?;
///     for _ in 0..3600 {
///         events.print(Some("volts"), format_args!("{:.2}", volts())).await?;
///         Timer::after(Duration::from_secs(1)).await;
///     }
///     events.send(&Event { event: Some("end"), ..Event::new("") }).await?;
///     events.finish().await
/// }
/// ```
pub struct EventStream<'c> {
    writer: BodyWriter<'c>,
}

impl<'c> EventStream<'c> {
    /// Sends the head of the response, with `Cache-Control: no-store`.
    ///
    /// # Errors
    /// Those of [`Response::send`]. And for a `HEAD` request [`Error::Answered`], for the head is all there is to send;
    /// it ends the handler, and is no failure.
    pub async fn start(response: Response<'c>) -> Result<Self, Error> {
        let mut writer = response.header("Cache-Control", "no-store").stream("text/event-stream")?;
        if writer.is_head() {
            let _sent = writer.finish().await?;
            return Err(Error::Answered);
        }
        writer.flush().await?;
        Ok(Self { writer })
    }

    /// Sends an event.
    ///
    /// # Errors
    /// - [`Error::Internal`] when its name or id has a line end or a NUL, which would end it or make it void. Nothing of
    ///   it has been sent.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    /// - [`Error::Answered`] when the server stops: the response has been ended. It ends the handler, and is no failure.
    pub async fn send(&mut self, event: &Event<'_>) -> Result<(), Error> {
        self.write(event.event, event.id, event.retry, format_args!("{}", event.data)).await
    }

    /// Sends an event of this name and of a text that is formatted on the way, for example
    /// `events.print(Some("volts"), format_args!("{volts:.2}"))`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn print(&mut self, event: Option<&str>, data: fmt::Arguments<'_>) -> Result<(), Error> {
        self.write(event, None, None, data).await
    }

    /// Sends what no page sees, to keep the connection and to learn whether the client is still there.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Io`]: the client is gone. [`Error::Answered`]: the server stops.
    pub async fn comment(&mut self, text: &str) -> Result<(), Error> {
        self.writer.print(format_args!("{}\n", Lines { name: "", text: format_args!("{text}") })).await?;
        self.flush().await
    }

    /// Ends the response. The client connects again, unless the page has closed its `EventSource`.
    ///
    /// # Errors
    /// Those of [`BodyWriter::finish`].
    pub async fn finish(self) -> Outcome {
        self.writer.finish().await
    }

    async fn write(
        &mut self,
        event: Option<&str>,
        id: Option<&str>,
        retry: Option<Duration>,
        data: fmt::Arguments<'_>,
    ) -> Result<(), Error> {
        let message = Message { event, id, retry, data };
        if !message.is_sound() {
            return Err(Error::Internal("an event whose name or id has a line end or a NUL"));
        }
        self.writer.print(format_args!("{message}")).await?;
        self.flush().await
    }

    /// Sends what was written. Nothing else would end a stream of events when the server stops (H-22).
    async fn flush(&mut self) -> Result<(), Error> {
        if self.writer.is_closing() {
            let _sent = self.writer.end().await?;
            return Err(Error::Answered);
        }
        self.writer.flush().await
    }
}

/// An event as it is sent.
struct Message<'a> {
    event: Option<&'a str>,
    id: Option<&'a str>,
    retry: Option<Duration>,
    data: fmt::Arguments<'a>,
}

impl Message<'_> {
    /// Whether its name and its id are one line each.
    fn is_sound(&self) -> bool {
        [self.event, self.id].into_iter().flatten().all(|text| !text.contains(['\r', '\n', '\0']))
    }
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(event) = self.event {
            writeln!(f, "event: {event}")?;
        }
        if let Some(id) = self.id {
            writeln!(f, "id: {id}")?;
        }
        if let Some(retry) = self.retry {
            writeln!(f, "retry: {}", retry.as_millis())?;
        }
        writeln!(f, "{}", Lines { name: "data", text: self.data })
    }
}

/// A text as one field for each of its lines.
struct Lines<'a> {
    name: &'a str,
    text: fmt::Arguments<'a>,
}

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        Splitter { f, name: self.name, after_cr: false }.write_fmt(self.text)?;
        f.write_char('\n')
    }
}

/// Begins a new field at every line end: LF, CR, or both, as the client takes them.
struct Splitter<'f, 'a, 'b> {
    f: &'f mut fmt::Formatter<'a>,
    name: &'b str,
    /// A CR was the last that came: an LF now belongs to it.
    after_cr: bool,
}

impl fmt::Write for Splitter<'_, '_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(['\r', '\n']) {
            let line = piece.trim_end_matches(['\r', '\n']);
            self.f.write_str(line)?;
            let is_second = self.after_cr && piece == "\n";
            if line.len() < piece.len() && !is_second {
                write!(self.f, "\n{}: ", self.name)?;
            }
            self.after_cr = piece.ends_with('\r');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::super::testing::talk;
    use super::*;

    fn message(event: &Event<'_>) -> String {
        let Event { event, id, data, retry } = *event;
        Message { event, id, retry, data: format_args!("{data}") }.to_string()
    }

    /// What a page sees: name, text and last event id of each event (WHATWG HTML 9.2.6, written again).
    fn interpret(stream: &str) -> Vec<(String, String, String)> {
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (mut seen, mut event, mut data, mut id) = (Vec::new(), String::new(), String::new(), String::new());
        for line in stream.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    if let Some(data) = data.strip_suffix('\n') {
                        seen.push((event.clone(), data.to_string(), id.clone()));
                    }
                    event.clear();
                    data.clear();
                }
                "event" => event = value.to_string(),
                "data" => {
                    data.push_str(value);
                    data.push('\n');
                }
                "id" if !value.contains('\0') => id = value.to_string(),
                _ => {}
            }
        }
        seen
    }

    #[test]
    fn writes_the_fields_of_an_event() {
        assert_eq!(message(&Event::new("hello")), "data: hello\n\n");
        assert_eq!(message(&Event::new("")), "data: \n\n");
        let full = Event { event: Some("volts"), id: Some("7"), data: "3.3", retry: Some(Duration::from_secs(2)) };
        assert_eq!(message(&full), "event: volts\nid: 7\nretry: 2000\ndata: 3.3\n\n");
    }

    #[test]
    fn every_line_of_the_text_is_a_field() {
        assert_eq!(message(&Event::new("a\nb\r\nc\rd")), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(message(&Event::new("\n\r\r\n")), "data: \ndata: \ndata: \ndata: \n\n");
        assert_eq!(message(&Event::new(" x: y")), "data:  x: y\n\n");
    }

    #[test]
    fn the_page_sees_the_text_that_was_sent() {
        // Every text of up to 6 of these characters, which are those with a meaning, and each cut in two anywhere.
        let alphabet = ['a', '\n', '\r', ':', ' '];
        for length in 0..=6 {
            for i in 0..alphabet.len().pow(length) {
                let text: String = (0..length).map(|k| alphabet[i / alphabet.len().pow(k) % alphabet.len()]).collect();
                let expected = text.replace("\r\n", "\n").replace('\r', "\n");
                for cut in 0..=text.len() {
                    let (one, two) = text.split_at(cut);
                    let data = format_args!("{one}{two}").to_string();
                    let sent = Message { event: None, id: None, retry: None, data: format_args!("{one}{two}") };
                    assert_eq!(data, text);
                    let seen = interpret(&sent.to_string());
                    assert_eq!(seen, [(String::new(), expected.clone(), String::new())], "{text:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn names_and_ids_are_one_line() {
        for bad in ["a\nb", "a\rb", "\0", "a\r\ndata: x"] {
            let (event, id) = (Some(bad), Some(bad));
            assert!(!Message { event, id: None, retry: None, data: format_args!("") }.is_sound(), "{bad:?}");
            assert!(!Message { event: None, id, retry: None, data: format_args!("") }.is_sound(), "{bad:?}");
        }
        let good = Message { event: Some("ä:b "), id: Some(""), retry: None, data: format_args!("\0\n") };
        assert!(good.is_sound());
    }

    #[test]
    fn a_comment_is_no_event() {
        let comment = Lines { name: "", text: format_args!("still\nhere") }.to_string();
        assert_eq!(comment, ": still\n: here\n");
        assert!(interpret(&(comment + "\n")).is_empty());
    }

    async fn two_events(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut events = EventStream::start(response).await?;
        let last = last_event_id(&request).unwrap_or("none");
        events.send(&Event { id: Some("8"), ..Event::new(last) }).await?;
        events.comment("still here").await?;
        events.print(Some("sum"), format_args!("{}\n{}", 1 + 1, 2 + 2)).await?;
        events.finish().await
    }

    #[test]
    fn events_are_sent_one_by_one() {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 7\r\n\r\n";
        let client = talk(&two_events, [request]);
        let text = client.text();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("\r\nCache-Control: no-store\r\n"), "{head}");
        let chunks = ["id: 8\ndata: 7\n\n", ": still here\n\n", "event: sum\ndata: 2\ndata: 4\n\n"];
        let expected: String = chunks.iter().map(|chunk| std::format!("{:04x}\r\n{chunk}\r\n", chunk.len())).collect();
        assert_eq!(body, expected + "0\r\n\r\n");
        assert_eq!(client.writes.len(), 5, "the head, each event, the end");
    }

    #[test]
    fn without_chunks_the_stream_ends_with_the_connection() {
        let client = talk(&two_events, ["GET / HTTP/1.0\r\n\r\n"]);
        let text = client.text();
        let events = interpret(text.split_once("\r\n\r\n").unwrap().1);
        let event = |name: &str, data: &str| (name.to_string(), data.to_string(), "8".to_string());
        assert_eq!(events, [event("", "none"), event("sum", "2\n4")]);
        assert!(!client.is_reset);
    }

    #[test]
    fn h13_head_gets_the_same_fields_and_ends() {
        let head = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
        let client = talk(&two_events, [head, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
        let text = client.text();
        let (first, second) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(first, second.split_once("\r\n\r\n").unwrap().0);
        assert_eq!(client.stats.requests, 2);
        assert!(!client.is_reset);
    }

    #[test]
    fn h20_a_name_cannot_end_its_event() {
        let handler = async |_: Request<'_>, response: Response<'_>| {
            let mut events = EventStream::start(response).await?;
            events.print(Some("a\ndata: forged"), format_args!("")).await?;
            events.finish().await
        };
        let client = talk(&handler, ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]);
        assert!(!client.text().contains("forged"));
        assert!(client.is_reset);
    }

    #[test]
    fn h22_a_stream_without_end_ends_when_the_server_stops() {
        use super::super::Config;
        use super::super::seats::Seat;
        use super::super::testing::{Client, Then, serve_stream};

        let endless = async |_: Request<'_>, response: Response<'_>| {
            let mut events = EventStream::start(response).await?;
            loop {
                events.send(&Event::new("tick")).await?;
            }
        };
        let seat = Seat::new();
        seat.leave();
        let mut client = Client::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], Then::Wait);
        virtual_time::block_on(serve_stream(&endless, &Config::new(), 2048, &mut client, &seat));
        assert!(client.text().ends_with("\r\n\r\n000c\r\ndata: tick\n\n\r\n0\r\n\r\n"), "{}", client.text());
        assert!(!client.is_reset);
    }
}
