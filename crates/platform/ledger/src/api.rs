//! The static tree over HTTP (C2SP `tlog-tiles`): `/ledger/checkpoint` and `/ledger/tile/…`.
//!
//! Only published files are served: a tile beyond the signed checkpoint answers 404 even while it
//! is being written. Everything in the tree is public by design (see [`crate::entry`]), so the
//! routes ask for no credentials; leave them out of the router where that is not wanted.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sealwright_core::Problem;
use sealwright_merkle::Tile;

use crate::error::LedgerError;
use crate::tree::{CHECKPOINT, TreeReader, read_if_there};

/// A checkpoint is asked for again after two seconds at the latest.
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=2");
/// A tile never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The routes of a tree, for the root of the server's router.
pub fn routes<S: Clone + Send + Sync + 'static>(tree: TreeReader) -> Router<S> {
    Router::new()
        .route("/ledger/checkpoint", get(checkpoint))
        .route("/ledger/tile/{*rest}", get(tile))
        .with_state(tree)
}

async fn checkpoint(State(tree): State<TreeReader>) -> Result<Response, Problem> {
    let bytes = blocking(move || read_if_there(&tree.root_folder().join(CHECKPOINT)))
        .await?
        .ok_or_else(|| Problem::unavailable("the ledger has no checkpoint yet"))?;
    Ok(answer(bytes, TEXT, FRESH))
}

async fn tile(
    State(tree): State<TreeReader>,
    Path(rest): Path<String>,
) -> Result<Response, Problem> {
    // The strict form of a tile path is also what keeps requests inside of the folder.
    let wanted: Tile = format!("tile/{rest}")
        .parse()
        .map_err(|e: sealwright_merkle::tile::TilePathError| Problem::not_found(e.to_string()))?;
    let bytes = blocking(move || {
        let (signed, _) = tree.checkpoint()?;
        let published = Tile::in_tree(wanted.kind, wanted.index, signed.size)
            .is_some_and(|there| wanted.width <= there.width);
        if published {
            read_if_there(&tree.root_folder().join(wanted.path()))
        } else {
            Ok(None)
        }
    })
    .await?
    .ok_or_else(|| {
        Problem::not_found(format!(
            "{wanted} is not published, or was replaced by the full tile"
        ))
    })?;
    Ok(answer(bytes, BYTES, FOR_EVER))
}

fn answer(bytes: Vec<u8>, kind: HeaderValue, cache: HeaderValue) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        // Monitors in browsers read logs across origins; nothing here is private.
        (
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        ),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Problem> {
    let result = tokio::task::spawn_blocking(work).await;
    result
        .map_err(|e| LedgerError::Task(e.to_string()))
        .and_then(|r| r)
        .map_err(|error| {
            tracing::error!(%error, "the ledger's tree cannot be read");
            Problem::internal()
        })
}
