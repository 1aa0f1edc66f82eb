//! The way out: an HTTP client that follows no redirect, reaches no private address unless told to, and
//! reads little of what is answered.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Client;
pub use reqwest::RequestBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sealwright_core::UnixMicros;
use sealwright_core::clock::SECOND;
use url::{Host, Url};

/// Bytes of an answer that only its beginning is kept of.
pub const LITTLE: usize = 16 * 1024;

/// Networks that are not the public internet (IANA special-purpose registries). What IPv6 has outside of
/// 2000::/3 is refused as a whole.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Teredo, ORCHID, benchmarking, documentation, 6to4: addresses inside of addresses, or nobody's.
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
];

/// Addresses that may be reached although they are not public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateTargets(Vec<IpNet>);

impl FromStr for PrivateTargets {
    type Err = String;

    /// Networks (`10.0.0.0/8`), addresses, and `loopback`, separated by commas or spaces.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut nets = Vec::new();
        for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
            if part.eq_ignore_ascii_case("loopback") {
                nets.extend(
                    ["127.0.0.0/8", "::1/128"]
                        .iter()
                        .filter_map(|n| n.parse::<IpNet>().ok()),
                );
            } else if let Ok(net) = part.parse::<IpNet>() {
                nets.push(net);
            } else if let Ok(ip) = part.parse::<IpAddr>() {
                nets.push(IpNet::from(ip));
            } else {
                let part: String = part.chars().take(60).collect();
                return Err(format!(
                    "`{part}` is not a network such as 10.0.0.0/8, or `loopback`"
                ));
            }
        }
        Ok(Self(nets))
    }
}

impl PrivateTargets {
    /// Whether `ip` may be reached.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if self.0.iter().any(|net| net.contains(&ip)) {
            return true;
        }
        let special = SPECIAL
            .iter()
            .filter_map(|net| net.parse::<IpNet>().ok())
            .any(|net| net.contains(&ip));
        let global = match ip {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
        };
        global && !special
    }
}

/// What the way out needs to know.
#[derive(Debug, Clone)]
pub struct EgressOptions {
    /// The section of the settings that decides this, for messages: `notify`.
    pub section: &'static str,
    /// Private addresses that may be reached.
    pub private: PrivateTargets,
    /// How long connecting and answering may take together.
    pub timeout: Duration,
    /// Certificates (PEM) of authorities beside the system's.
    pub extra_roots: Option<Vec<u8>>,
}

/// Why something did not get out; the text holds no address with secrets.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The address is not one that may be reached.
    #[error("{0}")]
    Refused(String),
    /// No connection, no answer, or a cut one.
    #[error("{0}")]
    Failed(String),
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Microseconds, from `Retry-After` or GitHub's `x-ratelimit-reset`.
    pub retry_after: Option<i64>,
    /// Whether the other side says that it was asked too often.
    pub rate_limited: bool,
    /// The body, cut where [`Egress::send`] was told to.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    options: Arc<EgressOptions>,
    client: Arc<OnceLock<Result<Client, String>>>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("private", &self.options.private)
            .finish_non_exhaustive()
    }
}

struct Guarded {
    private: PrivateTargets,
    section: &'static str,
}

impl Resolve for Guarded {
    /// Resolves and filters in one step: what is connected to is what was looked at, so a name that answers
    /// differently the second time gains nothing.
    fn resolve(&self, name: Name) -> Resolving {
        let (private, section) = (self.private.clone(), self.section);
        Box::pin(async move {
            let found = lookup(section, &private, name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn lookup(
    section: &str,
    private: &PrivateTargets,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, EgressError> {
    let found: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| EgressError::Failed(format!("{host} cannot be resolved: {error}")))?
        .collect();
    let allowed: Vec<_> = found
        .iter()
        .copied()
        .filter(|address| private.allows(address.ip()))
        .collect();
    match (found.first(), allowed.is_empty()) {
        (Some(first), true) => Err(refused(section, host, first.ip())),
        (None, _) => Err(EgressError::Failed(format!("{host} has no address"))),
        _ => Ok(allowed),
    }
}

fn refused(section: &str, host: &str, ip: IpAddr) -> EgressError {
    EgressError::Refused(format!(
        "{host} is the private address {ip}, which {section}.private_targets does not allow"
    ))
}

impl Egress {
    /// A way out. The client is made when it is first used.
    pub fn new(options: EgressOptions) -> Self {
        Self {
            options: Arc::new(options),
            client: Arc::default(),
        }
    }

    /// How long connecting and answering may take together.
    pub fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// Certificates (PEM) of authorities beside the system's.
    pub fn extra_roots(&self) -> Option<&[u8]> {
        self.options.extra_roots.as_deref()
    }

    /// Reads and checks an address for HTTP: the scheme, no user in it, and no literal address that may not
    /// be reached.
    ///
    /// # Errors
    /// [`EgressError::Refused`] says what is wrong with it, without repeating it.
    pub fn url(&self, text: &str) -> Result<Url, EgressError> {
        let refuse = |detail: &str| EgressError::Refused(detail.to_owned());
        let url = Url::parse(text).map_err(|_| refuse("is not a URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(refuse("must begin with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("must not hold a user name or password"));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(refuse("names no host")),
        };
        if let Some(ip) = literal
            && !self.options.private.allows(ip)
        {
            return Err(refused(self.options.section, "the target", ip));
        }
        Ok(url)
    }

    /// An address to connect to for `host`, for protocols other than HTTP.
    ///
    /// # Errors
    /// When it has none, or none that may be reached.
    pub async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, EgressError> {
        let found = lookup(self.options.section, &self.options.private, host, port).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| EgressError::Failed(format!("{host} has no address")))
    }

    fn client(&self) -> Result<&Client, EgressError> {
        self.client
            .get_or_init(|| build(&self.options).map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| EgressError::Failed(error.clone()))
    }

    /// A request with the method POST, to be added to and given to [`Self::send`].
    ///
    /// # Errors
    /// When the client cannot be made of its options.
    pub fn post(&self, url: &Url) -> Result<RequestBuilder, EgressError> {
        Ok(self.client()?.post(url.clone()))
    }

    /// A request with the method GET, to be added to and given to [`Self::send`].
    ///
    /// # Errors
    /// When the client cannot be made of its options.
    pub fn get(&self, url: &Url) -> Result<RequestBuilder, EgressError> {
        Ok(self.client()?.get(url.clone()))
    }

    /// A request with the method PATCH, to be added to and given to [`Self::send`].
    ///
    /// # Errors
    /// When the client cannot be made of its options.
    pub fn patch(&self, url: &Url) -> Result<RequestBuilder, EgressError> {
        Ok(self.client()?.patch(url.clone()))
    }

    /// Sends, and reads at most `most` bytes of the answer; what is longer is cut, not refused.
    ///
    /// # Errors
    /// [`EgressError::Refused`] for an address that may not be reached; [`EgressError::Failed`] for no connection,
    /// no answer in time, or a cut one.
    pub async fn send(
        &self,
        request: RequestBuilder,
        most: usize,
        now: UnixMicros,
    ) -> Result<Answer, EgressError> {
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let exhausted = header("x-ratelimit-remaining").as_deref() == Some("0");
        let reset = header("x-ratelimit-reset")
            .filter(|_| exhausted)
            .and_then(|text| text.parse::<i64>().ok())
            .map(|at| at.saturating_mul(SECOND).saturating_sub(now.0));
        let retry_after = header("retry-after").and_then(|text| retry_after(&text, now));
        let rate_limited = status == 429 || (status == 403 && (exhausted || retry_after.is_some()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]);
            if body.len() == most {
                break;
            }
        }
        Ok(Answer {
            status,
            retry_after: retry_after.or(reset),
            rate_limited,
            body,
        })
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3) in microseconds from now: seconds, or a date.
fn retry_after(text: &str, now: UnixMicros) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds) * SECOND);
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    Some(UnixMicros::from(at).since(now).max(0))
}

/// The cause without the address: paths and queries of webhooks are secrets.
fn failed(error: reqwest::Error) -> EgressError {
    let error = error.without_url();
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        error.to_string()
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
    let mut guard = None;
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        if let Some(EgressError::Refused(detail)) = inner.downcast_ref::<EgressError>() {
            guard = Some(detail.clone());
        }
        cause = inner.source();
    }
    match guard {
        Some(detail) => EgressError::Refused(detail),
        None => EgressError::Failed(text),
    }
}

fn build(options: &EgressOptions) -> Result<Client, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = Vec::new();
    if let Some(pem) = &options.extra_roots {
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.push(
                certificate.map_err(|error| {
                    format!("{}.ca_file cannot be read: {error}", options.section)
                })?,
            );
        }
    }
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
            .map_err(|error| format!("the system's certificates cannot be read: {error}"))?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Guarded {
            private: options.private.clone(),
            section: options.section,
        }))
        .redirect(Policy::none())
        // A proxy would resolve names itself, past the guard.
        .no_proxy()
        .referer(false)
        .timeout(options.timeout)
        .connect_timeout(options.timeout)
        .pool_max_idle_per_host(2)
        .user_agent(concat!("Sealwright/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_public_addresses_unless_told_otherwise() {
        let none = PrivateTargets::default();
        for bad in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!none.allows(bad.parse().unwrap()), "{bad}");
        }
        for good in [
            "8.8.8.8",
            "140.82.112.3",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
        ] {
            assert!(none.allows(good.parse().unwrap()), "{good}");
        }
        let some: PrivateTargets = "loopback, 10.0.0.0/8 192.168.7.7".parse().unwrap();
        for good in [
            "127.0.0.1",
            "::1",
            "10.200.0.1",
            "192.168.7.7",
            "::ffff:10.0.0.1",
        ] {
            assert!(some.allows(good.parse().unwrap()), "{good}");
        }
        assert!(!some.allows("192.168.7.8".parse().unwrap()));
        assert!("10.0.0.0/99".parse::<PrivateTargets>().is_err());
    }

    #[test]
    fn addresses_in_disguise_are_seen_through() {
        let egress = Egress::new(EgressOptions {
            section: "notify",
            private: PrivateTargets::default(),
            timeout: Duration::from_secs(1),
            extra_roots: None,
        });
        for bad in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::ffff:7f00:1]/",
            "http://017700000001/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://u:p@example.com/",
            "//example.com",
            "",
            "http://169.254.169.254/latest/meta-data",
        ] {
            assert!(egress.url(bad).is_err(), "{bad}");
        }
        assert!(egress.url("https://example.com/a?b=c").is_ok());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixMicros::parse_rfc3339("2015-10-21T07:28:00Z").unwrap();
        assert_eq!(retry_after("120", now), Some(120 * SECOND));
        assert_eq!(
            retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now),
            Some(30 * SECOND)
        );
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), Some(0));
        assert_eq!(retry_after("soon", now), None);
    }
}
