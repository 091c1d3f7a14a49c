use net_services::http::{Config, Server};

struct Site;

fn main() {
    let _ = Server::new(Config::new(), &Site);
}
