//! An HTTP function for the tests, on `lambda_http`: answers what it was asked, and with a cookie and the body's bytes.

use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}

async fn handle(request: Request) -> Result<Response<Body>, Error> {
    let header =
        |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
    let mut response = Response::builder()
        .status(201)
        .header("x-method", request.method().as_str())
        .header("x-uri", request.uri().to_string())
        .header("x-cookie", header("cookie"))
        .header("x-id", request.path_parameters().first("id").unwrap_or("-").escape_default().to_string())
        .header("x-query", request.query_string_parameters().all("a").unwrap_or_default().join("|"))
        .header("content-type", header("content-type"));
    for cookie in ["one=1; Path=/", "two=2; HttpOnly"] {
        response = response.header("set-cookie", cookie);
    }
    Ok(response.body(request.into_body())?)
}
