//! What the device answers.

use std::cell::RefCell;

use embassy_futures::select::{Either, select};
use net_core::time::{Duration, Instant, Timer};
use net_services::http::broadcast::{Broadcast, Lagged};
use net_services::http::websocket::{CloseCode, WebSocket};
use net_services::http::{
    Error, EventStream, Form, Handler, Multipart, Outcome, Request, Response, Route, Routes, Status,
};

/// The largest upload, in bytes.
const LARGEST_UPLOAD: u64 = 1 << 30;
/// The largest download.
const LARGEST_DOWNLOAD: u64 = 1 << 40;
/// The longest message of the chat.
const MESSAGE: usize = 500;
/// How often the page is told the time.
const TICK: Duration = Duration::from_millis(500);

/// What there is to ask for.
#[derive(Clone, Copy)]
enum Page {
    Home,
    Name,
    Rename,
    Upload,
    Count,
    Download,
    Events,
    Chat,
}

static PAGES: Routes<Page> = Routes::new(&[
    Route::get("/", Page::Home),
    Route::get("/name", Page::Name),
    Route::post("/name", Page::Rename),
    Route::post("/upload", Page::Upload),
    Route::put("/count", Page::Count),
    Route::post("/count", Page::Count),
    Route::get("/download/{bytes}", Page::Download),
    Route::get("/events", Page::Events),
    Route::get("/chat", Page::Chat),
]);

/// What all connections share.
pub(crate) struct Device {
    name: RefCell<String>,
    started: Instant,
    room: Broadcast<4096>,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self { name: RefCell::new("lamp".to_owned()), started: Instant::now(), room: Broadcast::new() }
    }
}

impl Handler for Device {
    async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        match PAGES.find(&mut request)? {
            Page::Home => response.html(include_str!("page.html")).await,
            Page::Name => {
                // Not borrowed while it is sent: another connection may change it meanwhile.
                let name = self.name.borrow().clone();
                response.text(&name).await
            }
            // On the heap, as the larger of the others: so a connection takes the room for it only while it runs.
            Page::Rename => Box::pin(self.rename(request, response)).await,
            Page::Upload => Box::pin(upload(request, response)).await,
            Page::Count => count(request, response).await,
            Page::Download => download(request, response).await,
            Page::Events => self.events(response).await,
            Page::Chat => Box::pin(self.chat(request, response)).await,
        }
    }
}

impl Device {
    /// A form with a text. The answer sends the browser back to the page, so that loading it again does not send the
    /// form again.
    async fn rename(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 256];
        let form = Form::read(&mut request, &mut buffer).await?;
        let field = form.get("name").ok_or(Error::BadRequest("no name in the form"))?;
        let mut name = [0; 64];
        let name = field.decode(&mut name).map_err(|_| Error::BadRequest("the name is too long, or no text"))?;
        name.clone_into(&mut self.name.borrow_mut());
        response.redirect(Status::SEE_OTHER, "/").await
    }

    /// Tells the page how long the device has been running, until the page is closed.
    async fn events(&self, response: Response<'_>) -> Outcome {
        let mut events = EventStream::start(response).await?;
        loop {
            let seconds = self.started.elapsed().as_millis() as f64 / 1000.0;
            events.print(Some("uptime"), format_args!("{seconds:.1}")).await?;
            Timer::after(TICK).await;
        }
    }

    /// What one says, all get.
    async fn chat(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        let (mut message, mut copy) = ([0; MESSAGE], [0; MESSAGE]);
        let mut socket = WebSocket::accept(request, response, &mut message).await?;
        let mut room = self.room.subscribe();
        loop {
            match select(socket.receive(), room.next(&mut copy)).await {
                Either::First(said) => match said? {
                    Some(message) => self.room.publish(message)?,
                    None => return socket.close(CloseCode::NORMAL, "").await,
                },
                Either::Second(Ok(message)) => socket.send(message).await?,
                Either::Second(Err(Lagged(missed))) => {
                    socket.send_text(&format!("(you missed {missed} messages)")).await?;
                }
            }
        }
    }
}

/// A form with files, of any size: they pass by in pieces. Answers with what was in it.
async fn upload(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    request.body.limit(LARGEST_UPLOAD);
    let mut form = Multipart::new(&mut request)?;
    let mut answer = String::new();
    while let Some(mut part) = form.next().await? {
        let what = match part.file_name() {
            Some(file) => format!("{} {file:?}", part.name()),
            None => part.name().to_owned(),
        };
        let (mut bytes, mut sum) = (0, 0);
        loop {
            let piece = part.fill_buf().await?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            sum += add_up(piece);
            bytes += length;
            part.consume(length);
        }
        answer += &format!("{what}: {bytes} bytes, sum {sum}\n");
    }
    response.text(&answer).await
}

/// The same for a body that is one file.
async fn count(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    request.body.limit(LARGEST_UPLOAD);
    let (mut bytes, mut sum) = (0, 0);
    loop {
        let piece = request.body.fill_buf().await?;
        let length = piece.len();
        if length == 0 {
            return response.text(&format!("{bytes} bytes, sum {sum}\n")).await;
        }
        sum += add_up(piece);
        bytes += length;
        request.body.consume(length);
    }
}

fn add_up(piece: &[u8]) -> u64 {
    piece.iter().map(|byte| u64::from(*byte)).sum()
}

/// As many bytes as are asked for, made on the way: 0 to 255, again and again.
async fn download(request: Request<'_>, response: Response<'_>) -> Outcome {
    let length: u64 = request.parse_param("bytes")?;
    if length > LARGEST_DOWNLOAD {
        return Err(Error::BadRequest("more than there is patience for"));
    }
    let mut writer = response.sized("application/octet-stream", length)?;
    let mut done = 0;
    // Whoever only asks for the head is not sent the rest, and need not wait until it is made.
    while done < length && !writer.is_head() {
        let room = writer.room_to_fill().await?;
        let n = room.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
        for (place, number) in room.iter_mut().zip(done..length) {
            *place = number as u8;
        }
        writer.advance(n)?;
        done += n as u64;
    }
    writer.finish().await
}
