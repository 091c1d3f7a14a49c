use net_services::http::{Config, Request, Response, Server};

// Forgets to give back that it has answered.
async fn page(_: Request<'_>, response: Response<'_>) {
    let _ = response.text("hello").await;
}

fn main() {
    let _ = Server::new(Config::new(), &page);
}
