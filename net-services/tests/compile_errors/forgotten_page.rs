use net_services::http::{Handler, Outcome, Request, Response, Route, Routes};

#[derive(Clone, Copy)]
enum Page {
    Home,
    About,
}

static PAGES: Routes<Page> = Routes::new(&[Route::get("/", Page::Home), Route::get("/about", Page::About)]);

async fn site(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    match PAGES.find(&mut request)? {
        Page::Home => response.text("home").await,
    }
}

fn main() {
    fn takes(_: impl Handler) {}
    takes(site);
}
