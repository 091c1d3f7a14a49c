//! Which path and method mean what.

use super::request::{PARAMETERS, Parameters};
use super::{Error, Method, Methods, Request, Status};

/// What a path and a method mean: a table of [`Route`]s, made at compile time.
///
/// `T` is what a route stands for, usually an `enum` of the program's pages: the handler then `match`es it, and the
/// compiler sees to it that no page is forgotten. Tables can be [nested](Route::nest).
///
/// ```
/// use net_services::http::{Error, Handler, Outcome, Request, Response, Route, Routes};
///
/// #[derive(Clone, Copy)]
/// enum Page {
///     Home,
///     Led,
///     SetLed,
/// }
///
/// static LEDS: Routes<Page> =
///     Routes::new(&[Route::get("/{number}", Page::Led), Route::put("/{number}", Page::SetLed)]);
/// static PAGES: Routes<Page> = Routes::new(&[Route::get("/", Page::Home), Route::nest("/led", &LEDS)]);
///
/// struct Device;
///
/// impl Handler for Device {
///     async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
///         match PAGES.find(&mut request)? {
///             Page::Home => response.text("two LEDs, at /led/0 and /led/1").await,
///             Page::Led => response.text(if is_on(request.parse_param("number")?) { "on" } else { "off" }).await,
///             Page::SetLed => {
///                 let number = request.parse_param("number")?;
///                 let mut buffer = [0; 8];
///                 switch(number, request.body.read_all(&mut buffer).await? == b"on");
///                 response.empty().await
///             }
///         }
///     }
/// }
/// # fn is_on(_: u8) -> bool { true }
/// # fn switch(_: u8, _: bool) {}
/// ```
#[derive(Debug)]
pub struct Routes<T: 'static>(&'static [Route<T>]);

/// One line of a table of [`Routes`].
///
/// A pattern begins with `/`. Its segments match themselves; `{name}` matches any one segment that is not empty, and
/// `{*name}`, at the end, whatever follows, slashes included, or nothing. What they matched is the request's
/// [`param`](Request::param). Patterns match the decoded path; the first line that fits counts.
#[derive(Debug)]
pub struct Route<T: 'static>(Line<T>);

#[derive(Debug)]
enum Line<T: 'static> {
    Page { methods: Methods, pattern: &'static str, page: T },
    Nest { prefix: &'static str, routes: &'static Routes<T> },
}

impl<T> Route<T> {
    /// `GET`, and with it `HEAD`.
    pub const fn get(pattern: &'static str, page: T) -> Self {
        Self::on(Methods::of(&[Method::Get]), pattern, page)
    }

    /// `POST`.
    pub const fn post(pattern: &'static str, page: T) -> Self {
        Self::on(Methods::of(&[Method::Post]), pattern, page)
    }

    /// `PUT`.
    pub const fn put(pattern: &'static str, page: T) -> Self {
        Self::on(Methods::of(&[Method::Put]), pattern, page)
    }

    /// `PATCH`.
    pub const fn patch(pattern: &'static str, page: T) -> Self {
        Self::on(Methods::of(&[Method::Patch]), pattern, page)
    }

    /// `DELETE`.
    pub const fn delete(pattern: &'static str, page: T) -> Self {
        Self::on(Methods::of(&[Method::Delete]), pattern, page)
    }

    /// Any of several methods; `GET` brings `HEAD` with it. `OPTIONS` is answered by the table unless it is named here.
    pub const fn on(methods: Methods, pattern: &'static str, page: T) -> Self {
        Self(Line::Page { methods: with_head(methods), pattern, page })
    }

    /// Another table for all that is below `prefix`, for example `/api`. Its patterns go on from there.
    pub const fn nest(prefix: &'static str, routes: &'static Routes<T>) -> Self {
        Self(Line::Nest { prefix, routes })
    }
}

pub(super) const fn with_head(methods: Methods) -> Methods {
    if methods.contains(Method::Get) { methods.with(Method::Head) } else { methods }
}

impl<T: Copy> Routes<T> {
    /// A table, to be put into a `static` or `const`: there a pattern that is none does not compile.
    ///
    /// # Panics
    /// When it is not evaluated at compile time, for such a pattern: one that does not begin with `/`, has a brace without
    /// its other, a parameter that is only a part of a segment or has no name, `{*name}` before its end, or more than 6
    /// parameters, those of its prefixes included; and for a prefix that ends with `/` or `{*name}`.
    pub const fn new(routes: &'static [Route<T>]) -> Self {
        let mut i = 0;
        while i < routes.len() {
            match routes[i].0 {
                Line::Page { pattern, .. } => check(mistake(pattern)),
                Line::Nest { prefix, routes } => check(mistake_of_prefix(prefix, routes.parameters())),
            }
            i += 1;
        }
        Self(routes)
    }

    /// The most that one of its routes has.
    const fn parameters(&self) -> usize {
        let (mut i, mut most) = (0, 0);
        while i < self.0.len() {
            let count = match &self.0[i].0 {
                Line::Page { pattern, .. } => parameters(pattern),
                Line::Nest { prefix, routes } => parameters(prefix) + routes.parameters(),
            };
            if count > most {
                most = count;
            }
            i += 1;
        }
        most
    }

    /// What `request` asks for. The parameters of its path are put into it.
    ///
    /// # Errors
    /// To be returned from the handler as they are: 404 when no line has the path, 405 with `Allow`
    /// when lines have it but not with this method, and the answer to `OPTIONS`.
    pub fn find(&self, request: &mut Request<'_>) -> Result<T, Error> {
        let (method, path) = (request.method(), request.path());
        let mut allowed = Methods::NONE;
        if path == "*" {
            self.collect(&mut allowed);
            return Err(Error::Options(allowed.with(Method::Options)));
        }
        let mut parameters = Parameters::new();
        if let Some(page) = self.look_up(method, path, &mut parameters, &mut allowed) {
            request.set_parameters(&parameters);
            return Ok(page);
        }
        Err(miss(method, allowed))
    }

    fn look_up<'c>(
        &self,
        method: Method,
        path: &'c str,
        parameters: &mut Parameters<'c>,
        allowed: &mut Methods,
    ) -> Option<T> {
        let before = parameters.len();
        for route in self.0 {
            match &route.0 {
                Line::Page { methods, pattern, page } => {
                    if fits(pattern, path, parameters) == Some("") {
                        if methods.contains(method) {
                            return Some(*page);
                        }
                        *allowed = allowed.union(*methods);
                    }
                }
                Line::Nest { prefix, routes } => {
                    if let Some(rest) = fits(prefix, path, parameters)
                        && let Some(page) = routes.look_up(method, rest, parameters, allowed)
                    {
                        return Some(page);
                    }
                }
            }
            parameters.truncate(before);
        }
        None
    }

    fn collect(&self, all: &mut Methods) {
        for route in self.0 {
            match &route.0 {
                Line::Page { methods, .. } => *all = all.union(*methods),
                Line::Nest { routes, .. } => routes.collect(all),
            }
        }
    }
}

/// The answer when no line fits.
pub(super) fn miss(method: Method, allowed: Methods) -> Error {
    if allowed.is_empty() {
        Error::Status(Status::NOT_FOUND, "no route has this path")
    } else if method == Method::Options {
        Error::Options(allowed.with(Method::Options))
    } else {
        Error::MethodNotAllowed(allowed.with(Method::Options))
    }
}

/// Whether a path begins as `pattern` says, and what is left of it behind that. Parameters are added as they are met.
pub(super) fn fits<'c>(pattern: &'static str, path: &'c str, parameters: &mut Parameters<'c>) -> Option<&'c str> {
    let (mut pattern, mut rest) = (pattern, path);
    while let Some(following) = pattern.strip_prefix('/') {
        let (part, segment);
        (part, pattern) = first_segment(following);
        let path = rest.strip_prefix('/')?;
        (segment, rest) = first_segment(path);
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match name {
            None if part == segment => {}
            None => return None,
            Some(name) => {
                if let Some(name) = name.strip_prefix('*') {
                    let _ = parameters.push((name, path));
                    return Some("");
                }
                if segment.is_empty() {
                    return None;
                }
                let _ = parameters.push((name, segment));
            }
        }
    }
    Some(rest)
}

/// What comes before the next slash, and the rest from there.
fn first_segment(path: &str) -> (&str, &str) {
    let end = path.bytes().position(|byte| byte == b'/').unwrap_or(path.len());
    path.split_at_checked(end).unwrap_or((path, ""))
}

const fn check(mistake: Option<&'static str>) {
    if let Some(mistake) = mistake {
        // Evaluated at compile time, this is what the compiler says.
        #[allow(clippy::panic)]
        {
            panic!("{}", mistake)
        }
    }
}

/// How many parameters a pattern has, once it is known to be one.
pub(super) const fn parameters(pattern: &str) -> usize {
    let (bytes, mut i, mut count) = (pattern.as_bytes(), 0, 0);
    while i < bytes.len() {
        count += (bytes[i] == b'{') as usize;
        i += 1;
    }
    count
}

/// What is wrong with the prefix of routes that have up to so many parameters.
pub(super) const fn mistake_of_prefix(prefix: &str, inner: usize) -> Option<&'static str> {
    let (mistake, bytes, mut i) = (mistake(prefix), prefix.as_bytes(), 1);
    if mistake.is_some() {
        return mistake;
    }
    if bytes[bytes.len() - 1] == b'/' {
        return Some("the prefix of a nested table does not end with a slash");
    }
    while i < bytes.len() {
        if bytes[i - 1] == b'{' && bytes[i] == b'*' {
            return Some("{*name} in the prefix of a nested table leaves nothing for the table");
        }
        i += 1;
    }
    if parameters(prefix) + inner > PARAMETERS {
        return Some("a route has at most 6 parameters, those of its prefixes included");
    }
    None
}

/// What is wrong with a pattern.
pub(super) const fn mistake(pattern: &str) -> Option<&'static str> {
    let bytes = pattern.as_bytes();
    if bytes.is_empty() || bytes[0] != b'/' {
        return Some("the pattern of a route begins with a slash");
    }
    let (mut i, mut count) = (1, 0);
    while i < bytes.len() {
        if bytes[i] == b'{' {
            if bytes[i - 1] != b'/' {
                return Some("a parameter of a route is a whole segment: /{name}/, not /x{name}/");
            }
            let begin = if i + 1 < bytes.len() && bytes[i + 1] == b'*' { i + 2 } else { i + 1 };
            let is_rest = begin == i + 2;
            i = begin;
            while i < bytes.len() && bytes[i] != b'}' && bytes[i] != b'/' {
                i += 1;
            }
            if i >= bytes.len() || bytes[i] != b'}' {
                return Some("a parameter of a route ends with a brace: {name}");
            }
            if i == begin {
                return Some("a parameter of a route has a name: {name}");
            }
            if i + 1 < bytes.len() && bytes[i + 1] != b'/' {
                return Some("a parameter of a route is a whole segment: /{name}/, not /{name}x/");
            }
            if is_rest && i + 1 < bytes.len() {
                return Some("{*name} stands at the end of a route");
            }
            count += 1;
            if count > PARAMETERS {
                return Some("a route has at most 6 parameters");
            }
        } else if bytes[i] == b'}' {
            return Some("a brace in a route that nothing opened");
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &'static str, path: &'static str) -> Option<(&'static str, Parameters<'static>)> {
        let mut parameters = Parameters::new();
        fits(pattern, path, &mut parameters).map(|rest| (rest, parameters))
    }

    #[test]
    fn patterns_fit_whole_segments() {
        for (pattern, path, rest) in [
            ("/", "/", Some("")),
            ("/", "/x", None),
            ("/a", "/a", Some("")),
            ("/a", "/ab", None),
            ("/a", "/a/", Some("/")),
            ("/a/", "/a/", Some("")),
            ("/a/b", "/a/b/c", Some("/c")),
            ("/{x}", "/", None),
            ("/{x}", "/1", Some("")),
            ("/{x}/b", "/1/b", Some("")),
            ("/{x}/b", "/1/c", None),
            ("/{*x}", "/", Some("")),
            ("/a/{*x}", "/a", None),
        ] {
            assert_eq!(matched(pattern, path).map(|(rest, _)| rest), rest, "{pattern} on {path}");
        }
        assert_eq!(matched("/{a}/{*b}", "/1/2/3").unwrap().1[..], [("a", "1"), ("b", "2/3")]);
    }

    #[test]
    fn mistakes_are_named() {
        for pattern in ["/", "/a/{b}", "/{b}/c", "/{*all}", "/a-b_c.html", "/{a}/{b}/{c}/{d}/{e}/{f}"] {
            assert_eq!(mistake(pattern), None, "{pattern}");
        }
        for (pattern, word) in [
            ("", "begins with a slash"),
            ("a", "begins with a slash"),
            ("/{a", "ends with a brace"),
            ("/{", "ends with a brace"),
            ("/{*", "ends with a brace"),
            ("/{a/b}", "ends with a brace"),
            ("/{}", "has a name"),
            ("/{*}", "has a name"),
            ("/x{a}", "whole segment"),
            ("/{a}x", "whole segment"),
            ("/{*a}/b", "at the end"),
            ("/a}", "nothing opened"),
            ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}", "at most 6"),
        ] {
            assert!(mistake(pattern).is_some_and(|m| m.contains(word)), "{pattern}: {:?}", mistake(pattern));
            assert_eq!(mistake_of_prefix(pattern, 0), mistake(pattern));
        }
        for (prefix, inner, word) in [
            ("/", 0, "with a slash"),
            ("/a/", 0, "with a slash"),
            ("/{*a}", 0, "leaves nothing"),
            ("/a/{*b}", 0, "leaves nothing"),
            ("/{a}", 6, "its prefixes included"),
            ("/{a}/b/{c}/{d}", 4, "its prefixes included"),
        ] {
            let mistake = mistake_of_prefix(prefix, inner);
            assert!(mistake.is_some_and(|m| m.contains(word)), "{prefix}: {mistake:?}");
        }
        for (prefix, inner) in [("/a", 6), ("/{a}", 5), ("/{a}/b/{c}/{d}", 3), ("/a*", 0)] {
            assert_eq!(mistake_of_prefix(prefix, inner), None, "{prefix}");
        }
    }

    #[test]
    fn parameters_are_counted_through_all_tables() {
        static INNER: Routes<u8> =
            Routes::new(&[Route::get("/", 0), Route::get("/{a}/{b}/{*c}", 1), Route::get("/{d}", 2)]);
        static OUTER: Routes<u8> = Routes::new(&[Route::get("/{e}", 3), Route::nest("/{f}/g/{h}", &INNER)]);
        assert_eq!((INNER.parameters(), OUTER.parameters(), Routes::<u8>::new(&[]).parameters()), (3, 5, 0));
    }
}
