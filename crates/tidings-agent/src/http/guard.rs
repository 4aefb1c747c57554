//! Who may come in: requests for this host, and no web page of another site.
//!
//! A browser on this host would carry a stranger's page to us, under a name of the stranger's that resolves to
//! loopback (DNS rebinding), or by a form that posts here. The first shows in `Host`, the second in `Origin`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

use crate::http::problem::{Kind, Problem};

/// The address of ours that a connection came in on, if the system tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival(Option<IpAddr>);

impl Connected<IncomingStream<'_, TcpListener>> for Arrival {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(stream.io().local_addr().ok().map(|address: SocketAddr| address.ip().to_canonical()))
    }
}

/// Lets a request pass, or answers why not.
pub(crate) async fn check(
    ConnectInfo(Arrival(arrival)): ConnectInfo<Arrival>,
    request: Request,
    next: Next,
) -> Response {
    let safe = request.method().is_safe();
    let mut response = match admit(request.uri(), request.headers(), arrival, safe) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn admit(uri: &Uri, headers: &HeaderMap, arrival: Option<IpAddr>, safe: bool) -> Result<(), Problem> {
    let host = host(uri, headers)?;
    if !is_ours(host.host(), arrival) {
        return Err(Problem::new(
            Kind::ForeignHost,
            format!("this agent does not serve the host {host}"),
            "ask by the agent's IP address, or by localhost on its own host",
        ));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let same = origin.to_str().is_ok_and(|origin| origin == format!("http://{host}"));
    if safe || same {
        return Ok(());
    }
    Err(Problem::new(
        Kind::ForeignSite,
        "a web page of another site asked for this",
        "write with a program, or from a page that this agent serves",
    ))
}

/// The host that is asked for: by the target where that names one, else by the header.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let bad =
        |detail| Problem::new(Kind::BadRequest, detail, "send one header Host with the agent's address");
    if let Some(authority) = uri.authority() {
        return Ok(authority.clone());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(bad("the request has no header Host, or more than one"));
    };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    host.ok_or_else(|| bad("the header Host is no host"))
}

/// Whether `host` is a name or an address that we serve on a connection that came in on `arrival`.
fn is_ours(host: &str, arrival: Option<IpAddr>) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match (literal.parse::<IpAddr>(), arrival) {
        (Ok(asked), Some(arrival)) => {
            asked.to_canonical() == arrival || (asked.to_canonical().is_loopback() && arrival.is_loopback())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ours_on(host: &str, arrival: &str) -> bool {
        is_ours(host, Some(arrival.parse().expect("an address")))
    }

    #[test]
    fn localhost_and_the_address_of_the_connection_are_ours() {
        assert!(is_ours_on("localhost", "10.0.0.7"));
        assert!(is_ours_on("LOCALHOST", "127.0.0.1"));
        assert!(is_ours_on("127.0.0.1", "127.0.0.1"));
        assert!(is_ours_on("[::1]", "::1"));
        assert!(is_ours_on("10.0.0.7", "10.0.0.7"));
    }

    #[test]
    fn other_names_and_addresses_are_not() {
        assert!(!is_ours_on("evil.example", "127.0.0.1"));
        assert!(!is_ours_on("localhost.evil.example", "127.0.0.1"));
        assert!(!is_ours_on("127.0.0.1", "10.0.0.7"));
        assert!(!is_ours_on("10.0.0.8", "10.0.0.7"));
        assert!(!is_ours("10.0.0.7", None));
    }

    #[test]
    fn pages_of_other_sites_may_not_write() {
        let headers = |origin: &'static str| {
            let pairs = [(header::HOST, "127.0.0.1:8435"), (header::ORIGIN, origin)];
            HeaderMap::from_iter(pairs.map(|(name, value)| (name, HeaderValue::from_static(value))))
        };
        let arrival = Some(IpAddr::from([127, 0, 0, 1]));
        let write = |origin| admit(&Uri::from_static("/v1/leave"), &headers(origin), arrival, false);
        assert!(write("http://127.0.0.1:8435").is_ok());
        for origin in ["http://evil.example", "http://127.0.0.1:3000", "null"] {
            assert_eq!(write(origin).unwrap_err().kind(), Kind::ForeignSite, "{origin}");
        }
    }
}
