//! Puts the pages into the program.

fn main() -> std::io::Result<()> {
    net_services::http::files::embed::tree("www").write()
}
