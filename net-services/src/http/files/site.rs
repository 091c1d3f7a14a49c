//! The document root: which file answers a request, and in what form.

use super::super::{BodyWriter, Error, Handler, Method, Methods, Outcome, Request, Response, Status, date};
use super::conditional::{Validators, Verdict};
use super::mime::Mime;
use super::ranges::Selection;
use super::{Coding, File, FileError, Files, Found, Path, UnixTime, coding, listing, mime, ranges, send};

const ALLOWED: Methods = Methods::of(&[Method::Get, Method::Head, Method::Options]);

/// A document root: a [`Handler`] that serves the files of a tree. [The module](super) says what requests get.
///
/// It is const-constructible, so that a firmware can have it in a `static`.
///
/// The head of a response takes about 450 bytes, and what [`with_cache_control`](Self::with_cache_control) adds; a quarter
/// of a connection's buffer must hold it: give a connection 2 KiB.
#[derive(Debug)]
pub struct Site<'f, F> {
    files: &'f F,
    index: &'static [&'static str],
    cache_control: &'static str,
    lists: bool,
    shows_dot_files: bool,
    uses_siblings: bool,
}

impl<'f, F: Files> Site<'f, F> {
    /// The files of `files`: with the index files `index.lua` and `index.html` in this order, compressed siblings,
    /// `Cache-Control: no-cache` (which means: to be kept, and asked for again each time); without listings and dot files.
    pub const fn new(files: &'f F) -> Self {
        Self {
            files,
            index: &["index.lua", "index.html"],
            cache_control: "no-cache",
            lists: false,
            shows_dot_files: false,
            uses_siblings: true,
        }
    }

    /// What stands for a directory: the first of these names that is a file in it.
    #[must_use]
    pub const fn with_index(mut self, names: &'static [&'static str]) -> Self {
        self.index = names;
        self
    }

    /// The `Cache-Control` of all files and listings (RFC 9111 section 5.2), for example `max-age=3600`. Empty: none is
    /// sent, and each client decides for itself for how long it does not ask again.
    #[must_use]
    pub const fn with_cache_control(mut self, value: &'static str) -> Self {
        self.cache_control = value;
        self
    }

    /// Whether a directory without an index file is answered by a list of its entries.
    #[must_use]
    pub const fn with_listings(mut self, on: bool) -> Self {
        self.lists = on;
        self
    }

    /// Whether files whose names begin with a dot are served and listed. `.well-known` in the root always is served.
    #[must_use]
    pub const fn with_dot_files(mut self, on: bool) -> Self {
        self.shows_dot_files = on;
        self
    }

    /// Whether a compressed sibling (`page.html.gz`, `page.html.br`) is sent to clients that take it.
    #[must_use]
    pub const fn with_siblings(mut self, on: bool) -> Self {
        self.uses_siblings = on;
        self
    }

    /// Answers with what lies at `path` below the root: for a route like `/files/{*path}`, its parameter. A slash at
    /// its beginning does not count.
    ///
    /// # Errors
    /// Those of [`Response::send`], [`Error::Status`] for what is not found or not allowed, [`Error::MethodNotAllowed`] and
    /// [`Error::Options`] for other methods than GET and HEAD.
    ///
    /// ```
    /// use net_services::http::files::{Embedded, EmbeddedFile, Site};
    /// use net_services::http::{Handler, Outcome, Request, Response, Route, Routes};
    ///
    /// static FILES: Embedded = Embedded::new(&[EmbeddedFile::new("readme.txt", b"Read me.")]);
    /// static SITE: Site<'static, Embedded> = Site::new(&FILES).with_listings(true);
    ///
    /// #[derive(Clone, Copy)]
    /// enum Page {
    ///     Home,
    ///     Files,
    /// }
    ///
    /// static PAGES: Routes<Page> = Routes::new(&[Route::get("/", Page::Home), Route::get("/files/{*path}", Page::Files)]);
    ///
    /// async fn device(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    ///     match PAGES.find(&mut request)? {
    ///         Page::Home => response.html("<a href=files/>Files</a>").await,
    ///         Page::Files => SITE.serve(request.param("path").unwrap_or_default(), request, response).await,
    ///     }
    /// }
    /// ```
    pub fn serve(&self, path: &str, request: Request<'_>, response: Response<'_>) -> impl Future<Output = Outcome> {
        // Not an `async fn`: that would keep what it is given twice.
        async move {
            let mut writer;
            match self.find(path, &request).await? {
                Target::File(mut form) => {
                    let selection;
                    (writer, selection) = self.begin(&form, &request, response)?;
                    send::write(&mut writer, &mut form.file, &selection, form.mime.text()).await?;
                }
                Target::Directory { entries, is_root } => {
                    writer = self.with_common_fields(response).stream(listing::CONTENT_TYPE)?;
                    listing::write(&mut writer, entries, request.path(), is_root, self.shows_dot_files).await?;
                }
                Target::Elsewhere => writer = add_slash(&request, response)?,
            }
            writer.finish().await
        }
    }

    /// Looks for what answers the request.
    async fn find(&self, path: &str, request: &Request<'_>) -> Result<Target<F::File<'_>, F::Entries<'_>>, Error> {
        match request.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Err(Error::Options(ALLOWED)),
            _ => return Err(Error::MethodNotAllowed(ALLOWED)),
        }
        let with_slash = request.path().ends_with('/');
        let path = below_root(path).filter(|path| self.shows_dot_files || !path.is_hidden());
        let mut path = path.ok_or(FileError::NotFound)?;
        let is_root = path.is_root();
        let file = match (self.files.open(path).await?, with_slash) {
            (Found::File(file), false) => file,
            (Found::File(_), true) => return Err(FileError::NotFound.into()),
            (Found::Directory(_), false) => return Ok(Target::Elsewhere),
            (Found::Directory(entries), true) => match self.find_index(path).await? {
                Some((index, file)) => {
                    path = index;
                    file
                }
                None if self.lists => return Ok(Target::Directory { entries, is_root }),
                None => return Err(Error::Status(Status::NOT_FOUND, "a directory without an index file")),
            },
        };
        let form = Form { file, coding: None, mime: mime::by_name(path.name()) };
        if !self.may_vary(&form) {
            return Ok(Target::File(form));
        }
        for coding in coding::preferred(request.headers().list("Accept-Encoding")).into_iter().flatten() {
            if let Some(sibling) = self.files.open_coded(path, coding).await
                // One that is older than the file is of an older state of it.
                && changed(&sibling) >= changed(&form.file)
            {
                return Ok(Target::File(Form { file: sibling, coding: Some(coding), ..form }));
            }
        }
        Ok(Target::File(form))
    }

    /// The index file of a directory.
    async fn find_index<'p>(&self, directory: Path<'p>) -> Result<Option<(Path<'p>, F::File<'_>)>, FileError> {
        for path in self.index.iter().filter_map(|name| directory.join(name)) {
            match self.files.open(path).await {
                Ok(Found::File(file)) => return Ok(Some((path, file))),
                Ok(Found::Directory(_)) | Err(FileError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Writes the head of the response: of all of a file, of parts, or that it is still the same. Says what of the file is
    /// to follow.
    fn begin<'c>(
        &self,
        form: &Form<F::File<'_>>,
        request: &Request<'_>,
        response: Response<'c>,
    ) -> Result<(BodyWriter<'c>, Selection), Error> {
        let metadata = form.file.metadata();
        let etag = metadata.etag(form.coding);
        // A date to come would be none to rely on (RFC 9110 section 8.8.2.1).
        let is_past = |date: &UnixTime| request.now().is_none_or(|now| date.as_secs() <= now.as_secs());
        let validators = Validators { etag: etag.as_deref(), modified: metadata.modified.filter(is_past) };
        let mut response = self.with_common_fields(response);
        if self.may_vary(form) {
            response = response.header("Vary", "Accept-Encoding");
        }
        if let Some(etag) = validators.etag {
            response = response.header("ETag", etag);
        }
        let refused = |response: Response<'c>, status| Ok((response.status(status).bare()?, Selection::Unsatisfiable));
        match validators.evaluate(request.method(), &request.headers()) {
            Verdict::Proceed => {}
            // Whoever has the file has its other fields (RFC 9110 section 15.4.5).
            Verdict::NotModified => return refused(response, Status::NOT_MODIFIED),
            Verdict::Failed => return refused(response, Status::PRECONDITION_FAILED),
        }
        response = response.header("Accept-Ranges", "bytes");
        let selection = selected(request, &validators, metadata.length);
        if selection == Selection::Unsatisfiable {
            let complete = ranges::unsatisfied_range(metadata.length);
            return refused(response.header("Content-Range", complete), Status::RANGE_NOT_SATISFIABLE);
        }
        if let Some(modified) = validators.modified {
            let date = date::write(modified);
            response = response.header("Last-Modified", core::str::from_utf8(&date).unwrap_or_default());
        }
        if let Some(coding) = form.coding {
            response = response.header("Content-Encoding", coding.name());
        }
        Ok((send::begin(&metadata, &selection, form.mime.text(), response)?, selection))
    }

    /// Whether another request for the same file may get another form of it.
    fn may_vary(&self, form: &Form<F::File<'_>>) -> bool {
        self.uses_siblings && form.mime.is_compressible()
    }

    fn with_common_fields<'c>(&self, response: Response<'c>) -> Response<'c> {
        let response = response.header("X-Content-Type-Options", "nosniff");
        if self.cache_control.is_empty() { response } else { response.header("Cache-Control", self.cache_control) }
    }
}

impl<F: Files> Handler for Site<'_, F> {
    fn handle(&self, request: Request<'_>, response: Response<'_>) -> impl Future<Output = Outcome> {
        self.serve(request.path(), request, response)
    }
}

/// What a path leads to.
enum Target<F, E> {
    File(Form<F>),
    Directory {
        entries: E,
        is_root: bool,
    },
    /// A directory, but asked for as if it were a file.
    Elsewhere,
}

/// A file in the form in which it is to be sent.
struct Form<F> {
    file: F,
    coding: Option<Coding>,
    mime: Mime,
}

/// When a file was changed, in seconds: compressing keeps no more than that of a file's date.
fn changed(file: &impl File) -> Option<u64> {
    file.metadata().modified.map(UnixTime::as_secs)
}

/// The path of a request without the slashes at its ends, at most one each.
fn below_root(path: &str) -> Option<Path<'_>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.strip_suffix('/') {
        Some(inner) if !inner.is_empty() => Path::new(inner),
        _ => Path::new(path),
    }
}

/// Sends the client to the same path with a slash at its end, so that the links in it lead to where they should.
fn add_slash<'c>(request: &Request<'_>, response: Response<'c>) -> Result<BodyWriter<'c>, Error> {
    // One slash at the beginning: two would be another host.
    let path = listing::encoded_path(request.path().trim_start_matches('/'));
    let response = response.status(Status::MOVED_PERMANENTLY);
    match request.query() {
        Some(query) => response.header("Location", format_args!("/{path}/?{query}")).bare(),
        None => response.header("Location", format_args!("/{path}/")).bare(),
    }
}

/// Which parts of a representation of `length` bytes the request wants. Only GET has ranges (RFC 9110 section 14.2).
fn selected(request: &Request<'_>, validators: &Validators<'_>, length: u64) -> Selection {
    let headers = request.headers();
    let mut values = headers.all("Range");
    let range = match (values.next(), values.next()) {
        (Some(value), None) => core::str::from_utf8(value).ok(),
        _ => None,
    };
    match range {
        Some(value) if request.method() == Method::Get && validators.allow_range(&headers) => {
            Selection::of(value, length)
        }
        _ => Selection::Whole,
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound => Self::Status(Status::NOT_FOUND, "no such file"),
            FileError::Forbidden => Self::Status(Status::FORBIDDEN, "file not allowed"),
            FileError::Failed => Self::Internal("file system failed"),
        }
    }
}
