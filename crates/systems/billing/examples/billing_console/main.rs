//! The pages of billing, the ledger and access over a made-up company, for looking at and for the
//! browser checks: `cargo run -p sealwright-billing --example billing_console -- 8098`, then open the link.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod world;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|a| a.parse().ok())
        .unwrap_or(0);
    let world = world::World::new(8).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let link = world.access.first_link().await.unwrap().unwrap_or_default();
    println!("http://{}/welcome/{link}", listener.local_addr()?);
    axum::serve(listener, world.router()).await
}
