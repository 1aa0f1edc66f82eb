//! Who is at the other end of a connection.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::Extensions;

/// The address that a request comes from: the connection's, where the server was started with
/// `into_make_service_with_connect_info::<SocketAddr>()`. An IPv4 address that came over IPv6 is the IPv4 address.
#[must_use]
pub fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical())
}
