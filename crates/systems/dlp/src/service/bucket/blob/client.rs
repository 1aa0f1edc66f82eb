//! The clients of Google's and Azure's stores, one a bucket, and the deletion with a condition that they lack.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::azure::{AzureAuthorizer, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector as _, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::list::PaginatedListStore;
use object_store::{ClientOptions, Error, ObjectMeta, ObjectStore, RetryConfig};

use super::not;
use crate::model::object::ObjectId;
use crate::service::bucket::s3::{bare, encode};
use crate::service::bucket::{BucketError, Result};

/// Google's own address.
const GOOGLE: &str = "https://storage.googleapis.com";

/// Where the store is, and who asks.
#[derive(Clone)]
pub enum BlobOptions {
    /// Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
        /// Its key.
        access_key: String,
        /// The URL; Azure's own when absent.
        endpoint: Option<String>,
    },
    /// Google Cloud Storage.
    Google {
        /// The key of the service account, as the JSON that Google gives.
        service_account: String,
    },
}

impl std::fmt::Debug for BlobOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Azure {
                account, endpoint, ..
            } => f
                .debug_struct("Azure")
                .field("account", account)
                .field("endpoint", endpoint)
                .finish_non_exhaustive(),
            Self::Google { .. } => f.debug_struct("Google").finish_non_exhaustive(),
        }
    }
}

/// The clients of an account.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    options: BlobOptions,
    /// Google's address, or that of what takes its place.
    google: String,
    http: HttpClient,
    open: Arc<Mutex<HashMap<String, Client>>>,
}

/// The client of a bucket.
#[derive(Clone)]
pub(super) enum Client {
    Azure(Arc<MicrosoftAzure>),
    Google(Arc<GoogleCloudStorage>),
}

// Their own `Debug` shows tokens and keys.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Azure(client) => write!(f, "{client}"),
            Self::Google(client) => write!(f, "{client}"),
        }
    }
}

impl Client {
    /// For single objects.
    pub(super) fn objects(&self) -> &dyn ObjectStore {
        match self {
            Self::Azure(client) => client.as_ref(),
            Self::Google(client) => client.as_ref(),
        }
    }

    /// For listings.
    pub(super) fn pages(&self) -> &dyn PaginatedListStore {
        match self {
            Self::Azure(client) => client.as_ref(),
            Self::Google(client) => client.as_ref(),
        }
    }
}

impl Clients {
    /// Clients for the buckets of an account; nothing is asked yet.
    ///
    /// # Errors
    /// [`BucketError::Unable`] when the options cannot be understood.
    pub(super) fn new(options: BlobOptions) -> Result<Self> {
        let wrong = |why: String| BucketError::Unable {
            what: format!("{options:?}"),
            why,
        };
        let google = match &options {
            BlobOptions::Azure { .. } => String::new(),
            BlobOptions::Google { service_account } => {
                // Where the text is wrong is not said: it is a secret.
                let key: serde_json::Value = serde_json::from_str(service_account)
                    .map_err(|_| wrong("the key of the service account is not JSON".to_owned()))?;
                key["gcs_base_url"].as_str().unwrap_or(GOOGLE).to_owned()
            }
        };
        let http = ReqwestConnector::default()
            .connect(&client_options())
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            options,
            google,
            http,
            open: Arc::default(),
        })
    }

    /// The client of a bucket.
    pub(super) fn client(&self, bucket: &str) -> Result<Client> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = open.get(bucket) {
            return Ok(client.clone());
        }
        let retry = RetryConfig {
            max_retries: 4,
            retry_timeout: Duration::from_secs(60),
            ..RetryConfig::default()
        };
        let name = name_of(bucket);
        let client = match &self.options {
            BlobOptions::Azure {
                account,
                access_key,
                endpoint,
            } => {
                let mut builder = MicrosoftAzureBuilder::new()
                    .with_account(account)
                    .with_access_key(access_key)
                    .with_container_name(name)
                    .with_client_options(client_options())
                    .with_retry(retry);
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                builder.build().map(|one| Client::Azure(Arc::new(one)))
            }
            BlobOptions::Google { service_account } => GoogleCloudStorageBuilder::new()
                .with_service_account_key(service_account)
                .with_bucket_name(name)
                .with_client_options(client_options())
                .with_retry(retry)
                .build()
                .map(|one| Client::Google(Arc::new(one))),
        }
        .map_err(|error| fault(bucket, &error))?;
        open.insert(bucket.to_owned(), client.clone());
        Ok(client)
    }

    pub(super) fn azure(&self) -> bool {
        matches!(self.options, BlobOptions::Azure { .. })
    }

    /// A deletion that takes effect only on the version that is meant; object_store has none with a condition.
    pub(super) async fn deletion(&self, id: &ObjectId, found: &ObjectMeta) -> Result<HttpRequest> {
        let wrong = |why: String| BucketError::Unknown {
            what: id.to_string(),
            why,
        };
        let name = encode(name_of(&id.bucket), b"-_.~");
        let key = encode(&id.key, b"-_.~/");
        let delete = |url: String| http::Request::delete(url).header("content-length", "0");
        match (&self.options, self.client(&id.bucket)?) {
            (
                BlobOptions::Azure {
                    account, endpoint, ..
                },
                Client::Azure(client),
            ) => {
                let own = format!("https://{account}.blob.core.windows.net");
                let endpoint = endpoint.as_deref().unwrap_or(&own).trim_end_matches('/');
                let mut request = delete(format!("{endpoint}/{name}/{key}"))
                    .header("if-match", format!("\"{}\"", bare(found.e_tag.as_deref())))
                    .body(HttpRequestBody::empty())
                    .map_err(|error| wrong(error.to_string()))?;
                let credential = client.credentials().get_credential().await;
                let credential = credential.map_err(|error| fault(id, &error))?;
                AzureAuthorizer::new(&credential, account).authorize(&mut request);
                Ok(request)
            }
            (_, Client::Google(client)) => {
                let generation = found.version.as_deref().ok_or_else(|| {
                    wrong("the store does not say which generation it is".to_owned())
                })?;
                let credential = client.credentials().get_credential().await;
                let credential = credential.map_err(|error| fault(id, &error))?;
                delete(format!("{}/{name}/{key}", self.google))
                    .header("x-goog-if-generation-match", generation)
                    .header("authorization", format!("Bearer {}", credential.bearer))
                    .body(HttpRequestBody::empty())
                    .map_err(|error| wrong(error.to_string()))
            }
            (BlobOptions::Google { .. }, Client::Azure(_)) => not(id, "it is of another kind"),
        }
    }

    /// What a deletion is answered with.
    pub(super) async fn send(&self, id: &ObjectId, request: HttpRequest) -> Result<u16> {
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| BucketError::Unknown {
            what: id.to_string(),
            why: error.to_string(),
        })?;
        Ok(answer.status().as_u16())
    }
}

fn client_options() -> ClientOptions {
    // The time of a request here includes its body, whose time has no bound: each answer and each piece have theirs.
    ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout_disabled()
}

/// The name of a bucket without its kind.
fn name_of(bucket: &str) -> &str {
    bucket.split_once("://").map_or(bucket, |(_, name)| name)
}

/// What an answer of the client means.
pub(super) fn fault(what: &(impl std::fmt::Display + ?Sized), error: &Error) -> BucketError {
    let what = what.to_string();
    let why = error.to_string();
    match error {
        Error::NotFound { .. } => BucketError::Missing(what),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => BucketError::Changed(what),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            BucketError::Refused { what, why }
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
            BucketError::Unable { what, why }
        }
        _ => BucketError::Unknown { what, why },
    }
}
