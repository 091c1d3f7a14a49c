use net_services::http::{Route, Routes};

static PAGES: Routes<u8> = Routes::new(&[Route::get("/led/{number", 1)]);

fn main() {
    let _ = &PAGES;
}
