use net_services::http::{Handler, Outcome, Request, Response};

struct Site;

impl Handler for Site {
    async fn handle(&self, _: Request<'_>, response: Response<'_>) -> Outcome {
        response.header("X-Answer", 42);
    }
}

fn main() {}
