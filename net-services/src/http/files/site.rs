//! The document root: which file answers a request, and in what form.

use super::super::{Error, Handler, Method, Methods, Outcome, Request, Response, Status, date};
use super::conditional::{Validators, Verdict};
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
    pub async fn serve(&self, path: &str, request: Request<'_>, response: Response<'_>) -> Outcome {
        match request.method() {
            Method::Get | Method::Head => {}
            Method::Options => return Err(Error::Options(ALLOWED)),
            _ => return Err(Error::MethodNotAllowed(ALLOWED)),
        }
        let with_slash = request.path().ends_with('/');
        let path = below_root(path).filter(|path| self.shows_dot_files || !path.is_hidden());
        let path = path.ok_or(FileError::NotFound)?;
        let entries = match self.files.open(path).await? {
            Found::File(file) if !with_slash => return self.send_file(path, file, &request, response).await,
            Found::File(_) => return Err(FileError::NotFound.into()),
            Found::Directory(_) if !with_slash => return add_slash(&request, response).await,
            Found::Directory(entries) => entries,
        };
        for path in self.index.iter().filter_map(|name| path.join(name)) {
            match self.files.open(path).await {
                Ok(Found::File(file)) => return self.send_file(path, file, &request, response).await,
                Ok(Found::Directory(_)) | Err(FileError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !self.lists {
            return Err(Error::Status(Status::NOT_FOUND, "a directory without an index file"));
        }
        let response = self.with_common_fields(response);
        listing::send(entries, request.path(), path.is_root(), self.shows_dot_files, response).await
    }

    /// Sends a file, or its sibling.
    async fn send_file(
        &self,
        path: Path<'_>,
        file: F::File<'_>,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Outcome {
        let mime = mime::by_name(path.name());
        let may_vary = self.uses_siblings && mime.is_compressible();
        let response = if may_vary { response.header("Vary", "Accept-Encoding") } else { response };
        let wanted = if may_vary { coding::preferred(request.headers().list("Accept-Encoding")) } else { [None; 2] };
        let changed = |file: &F::File<'_>| file.metadata().modified.map(UnixTime::as_secs);
        for coding in wanted.into_iter().flatten() {
            if let Some(sibling) = self.files.open_coded(path, coding).await
                // One that is older than the file is of an older state of it.
                && changed(&sibling) >= changed(&file)
            {
                return self.send_form(sibling, Some(coding), mime.text(), request, response).await;
            }
        }
        self.send_form(file, None, mime.text(), request, response).await
    }

    /// Sends what a request wants of one form of a file: all, parts, or only that it is still the same.
    async fn send_form(
        &self,
        mut file: F::File<'_>,
        coding: Option<Coding>,
        content_type: &str,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Outcome {
        let metadata = file.metadata();
        let etag = metadata.etag(coding);
        // A date to come would be none to rely on (RFC 9110 section 8.8.2.1).
        let is_past = |date: &UnixTime| request.now().is_none_or(|now| date.as_secs() <= now.as_secs());
        let validators = Validators { etag: etag.as_deref(), modified: metadata.modified.filter(is_past) };
        let mut response = self.with_common_fields(response);
        if let Some(etag) = validators.etag {
            response = response.header("ETag", etag);
        }
        match validators.evaluate(request.method(), &request.headers()) {
            Verdict::Proceed => {}
            // Whoever has the file has its other fields (RFC 9110 section 15.4.5).
            Verdict::NotModified => return response.status(Status::NOT_MODIFIED).empty().await,
            Verdict::Failed => return response.status(Status::PRECONDITION_FAILED).empty().await,
        }
        response = response.header("Accept-Ranges", "bytes");
        let selection = selected(request, &validators, metadata.length);
        if selection == Selection::Unsatisfiable {
            let response = response.status(Status::RANGE_NOT_SATISFIABLE);
            return response.header("Content-Range", ranges::unsatisfied_range(metadata.length)).empty().await;
        }
        if let Some(modified) = validators.modified {
            let date = date::write(modified);
            response = response.header("Last-Modified", core::str::from_utf8(&date).unwrap_or_default());
        }
        if let Some(coding) = coding {
            response = response.header("Content-Encoding", coding.name());
        }
        send::selected(&mut file, &selection, content_type, response).await
    }

    fn with_common_fields<'c>(&self, response: Response<'c>) -> Response<'c> {
        let response = response.header("X-Content-Type-Options", "nosniff");
        if self.cache_control.is_empty() { response } else { response.header("Cache-Control", self.cache_control) }
    }
}

impl<F: Files> Handler for Site<'_, F> {
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        self.serve(request.path(), request, response).await
    }
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
async fn add_slash(request: &Request<'_>, response: Response<'_>) -> Outcome {
    // One slash at the beginning: two would be another host.
    let path = listing::encoded_path(request.path().trim_start_matches('/'));
    let moved = Status::MOVED_PERMANENTLY;
    match request.query() {
        Some(query) => response.redirect(moved, format_args!("/{path}/?{query}")).await,
        None => response.redirect(moved, format_args!("/{path}/")).await,
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
