//! Who answers requests.

use super::{Outcome, Request, Response};

/// Answers requests.
///
/// Every `async` closure and function of the right shape is one:
/// ```
/// use net_services::http::{Handler, Outcome, Request, Response};
///
/// async fn hello(_: Request<'_>, response: Response<'_>) -> Outcome {
///     response.text("hello").await
/// }
///
/// fn takes_a_handler(_: impl Handler) {}
/// takes_a_handler(hello);
/// takes_a_handler(async |request: Request<'_>, response: Response<'_>| response.text(request.path()).await);
/// ```
///
/// A handler that shares state holds it, or a reference to it, and implements the trait; [`Routes`](super::Routes)
/// finds out what was asked.
///
/// Handlers of several connections run at the same time, on one thread: what they share needs `Cell` or `RefCell`,
/// borrowed only between await points. A handler is dropped at an await point when the server's time to stop is over.
///
/// The server bounds how long a handler waits for its client, not how long it takes for itself: put a
/// [`with_timeout`](net_core::time::with_timeout) around what may not come. That a client has gone shows when the handler
/// reads or writes; until then its place is taken.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer HTTP requests",
    label = "not a handler",
    note = "a handler is `async fn(Request<'_>, Response<'_>) -> Outcome`, an async closure like it, or a type that implements `Handler`",
    note = "the value it returns must be the one that finished the response, for example `response.text(\"hello\").await`"
)]
#[allow(async_fn_in_trait)] // for single-threaded executors; nothing is `Send`
pub trait Handler {
    /// Answers one request: sends `response` and returns the proof of it, or the reason why there is none.
    ///
    /// # Errors
    /// The server answers them, see [`Error`](super::Error). Those of a request's and a response's methods are to be passed
    /// on with `?`.
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome;
}

impl<F> Handler for F
where
    F: AsyncFn(Request<'_>, Response<'_>) -> Outcome,
{
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        self(request, response).await
    }
}
