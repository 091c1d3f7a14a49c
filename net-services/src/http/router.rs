//! Routes with handlers on the heap.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use super::request::Parameters;
use super::routes::{fits, miss, mistake, mistake_of_prefix, parameters, with_head};
use super::{Error, Handler, Method, Methods, Outcome, Request, Response};

/// A [`Handler`] that passes each request to the handler of its route. The patterns are those of
/// [`Route`](super::Route), which needs no heap.
///
/// ```
/// use net_services::http::{Request, Response, Router};
///
/// # fn main() -> Result<(), net_services::http::BadPattern> {
/// let pages = Router::new()
///     .get("/", async |_: Request<'_>, response: Response<'_>| response.html("<h1>Hello</h1>").await)?
///     .get("/hello/{name}", async |request: Request<'_>, response: Response<'_>| {
///         response.text(request.param("name").unwrap_or("stranger")).await
///     })?;
/// # let _ = pages; Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Router<'h> {
    routes: Vec<(Target<'h>, &'static str)>,
    fallback: Option<Box<dyn DynHandler + 'h>>,
}

enum Target<'h> {
    Handler(Methods, Box<dyn DynHandler + 'h>),
    Nested(Router<'h>),
}

/// A pattern that is none: see [`Route`](super::Route).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPattern {
    /// The pattern.
    pub pattern: &'static str,
    /// What is wrong with it.
    pub mistake: &'static str,
}

impl core::fmt::Display for BadPattern {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "route {:?}: {}", self.pattern, self.mistake)
    }
}

impl core::error::Error for BadPattern {}

/// A [`Handler`] whose future is on the heap.
trait DynHandler {
    fn handle<'c>(
        &'c self,
        request: Request<'c>,
        response: Response<'c>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'c>>;
}

impl<H: Handler> DynHandler for H {
    fn handle<'c>(
        &'c self,
        request: Request<'c>,
        response: Response<'c>,
    ) -> Pin<Box<dyn Future<Output = Outcome> + 'c>> {
        Box::pin(Handler::handle(self, request, response))
    }
}

impl<'h> Router<'h> {
    /// No routes.
    pub const fn new() -> Self {
        Self { routes: Vec::new(), fallback: None }
    }

    /// `GET`, and with it `HEAD`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn get(self, pattern: &'static str, handler: impl Handler + 'h) -> Result<Self, BadPattern> {
        self.on(Method::Get.into(), pattern, handler)
    }

    /// `POST`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn post(self, pattern: &'static str, handler: impl Handler + 'h) -> Result<Self, BadPattern> {
        self.on(Method::Post.into(), pattern, handler)
    }

    /// `PUT`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn put(self, pattern: &'static str, handler: impl Handler + 'h) -> Result<Self, BadPattern> {
        self.on(Method::Put.into(), pattern, handler)
    }

    /// `PATCH`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn patch(self, pattern: &'static str, handler: impl Handler + 'h) -> Result<Self, BadPattern> {
        self.on(Method::Patch.into(), pattern, handler)
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn delete(self, pattern: &'static str, handler: impl Handler + 'h) -> Result<Self, BadPattern> {
        self.on(Method::Delete.into(), pattern, handler)
    }

    /// Any of several methods; `GET` brings `HEAD` with it.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn on(
        mut self,
        methods: Methods,
        pattern: &'static str,
        handler: impl Handler + 'h,
    ) -> Result<Self, BadPattern> {
        check(pattern, mistake(pattern))?;
        self.routes.push((Target::Handler(with_head(methods), Box::new(handler)), pattern));
        Ok(self)
    }

    /// Another router for all that is below `prefix`, for example `/api`.
    ///
    /// # Errors
    /// [`BadPattern`]; a prefix that ends with a slash or `{*name}` is one, and one that has more than 6 parameters
    /// together with a route of `router`.
    pub fn nest(mut self, prefix: &'static str, router: Router<'h>) -> Result<Self, BadPattern> {
        check(prefix, mistake_of_prefix(prefix, router.parameters()))?;
        self.routes.push((Target::Nested(router), prefix));
        Ok(self)
    }

    /// Answers whatever has no route, whatever its method, for example with files.
    #[must_use]
    pub fn fallback(mut self, handler: impl Handler + 'h) -> Self {
        self.fallback = Some(Box::new(handler));
        self
    }

    /// The most that one of its routes has.
    fn parameters(&self) -> usize {
        let count = |(target, pattern): &(Target<'_>, &'static str)| match target {
            Target::Handler(..) => parameters(pattern),
            Target::Nested(router) => parameters(pattern) + router.parameters(),
        };
        self.routes.iter().map(count).max().unwrap_or(0)
    }

    fn look_up<'c>(
        &self,
        method: Method,
        path: &'c str,
        parameters: &mut Parameters<'c>,
        allowed: &mut Methods,
    ) -> Option<&(dyn DynHandler + 'h)> {
        let before = parameters.len();
        for (target, pattern) in &self.routes {
            if let Some(rest) = fits(pattern, path, parameters) {
                match target {
                    Target::Handler(methods, handler) if rest.is_empty() => {
                        if methods.contains(method) {
                            return Some(&**handler);
                        }
                        *allowed = allowed.union(*methods);
                    }
                    Target::Handler(..) => {}
                    Target::Nested(router) => {
                        if let Some(handler) = router.look_up(method, rest, parameters, allowed) {
                            return Some(handler);
                        }
                    }
                }
            }
            parameters.truncate(before);
        }
        self.fallback.as_deref().filter(|_| allowed.is_empty())
    }

    fn collect(&self, all: &mut Methods) {
        for (target, _) in &self.routes {
            match target {
                Target::Handler(methods, _) => *all = all.union(*methods),
                Target::Nested(router) => router.collect(all),
            }
        }
    }
}

fn check(pattern: &'static str, mistake: Option<&'static str>) -> Result<(), BadPattern> {
    mistake.map_or(Ok(()), |mistake| Err(BadPattern { pattern, mistake }))
}

impl Handler for Router<'_> {
    async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        let (mut parameters, mut allowed) = (Parameters::new(), Methods::NONE);
        if request.path() == "*" {
            self.collect(&mut allowed);
            return Err(Error::Options(allowed.with(Method::Options)));
        }
        let found = self.look_up(request.method(), request.path(), &mut parameters, &mut allowed);
        let handler: Result<_, Error> = found.ok_or_else(|| miss(request.method(), allowed));
        request.set_parameters(&parameters);
        handler?.handle(request, response).await
    }
}

impl core::fmt::Debug for Router<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(_, pattern)| pattern)).finish()
    }
}
