//! Every component with made-up data, for looking at and for the browser checks:
//! `cargo run -p sealwright-web --example gallery -- 8099`, then `/console/gallery`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod data;
mod pages;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/console/gallery", listener.local_addr()?);
    axum::serve(listener, pages::router()).await
}
