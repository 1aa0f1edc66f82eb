//! Stored events as something to scan: a tenant's lake, event by event, as lines of JSON.

use std::io::{self, Read};
use std::sync::Arc;

use anyhow::Result;
use sealwright_access::TenantDirectory;
use sealwright_config::Config;
use sealwright_core::{Cursor, TenantId, TenantScope};
use sealwright_dlp::cli::OpenLake;
use sealwright_lake::{EventFilter, LARGEST_PAGE, Lake, Order};
use sealwright_store::Store;
use tokio::runtime::Handle;

use crate::installation::{lake_place, store_url};

/// Opens the lake of this configuration for reading, also beside a running server.
pub(crate) fn open(config: &Config) -> OpenLake {
    let (config, handle) = (config.clone(), Handle::current());
    Arc::new(move |tenant| {
        let opened = handle.block_on(tenants(&config, tenant));
        let (lake, named) = opened.map_err(|error| error.to_string())?;
        Ok(named
            .into_iter()
            .map(|(slug, id)| {
                let events: Box<dyn Read + Send> = Box::new(Events {
                    lake: lake.clone(),
                    handle: handle.clone(),
                    tenant: id,
                    cursor: None,
                    ended: false,
                    page: Vec::new(),
                    at: 0,
                });
                (format!("lake:{slug}"), events)
            })
            .collect())
    })
}

async fn tenants(config: &Config, only: Option<&str>) -> Result<(Lake, Vec<(String, TenantId)>)> {
    let store = Store::open(&store_url(config)?).await?;
    let directory = TenantDirectory::default();
    directory.refresh(&store).await?;
    let all = match only {
        None => directory.all(),
        Some(name) => {
            let found = directory.resolve(name);
            vec![found.ok_or_else(|| anyhow::anyhow!("there is no tenant `{name}`"))?]
        }
    };
    let lake = Lake::open_read_only(lake_place(config)).await?;
    let named = all.iter().map(|one| (one.slug.clone(), one.id)).collect();
    Ok((lake, named))
}

/// The events of a tenant in the order of the log. It waits on the runtime, so it is read on a thread of its own.
struct Events {
    lake: Lake,
    handle: Handle,
    tenant: TenantId,
    cursor: Option<Cursor>,
    ended: bool,
    page: Vec<u8>,
    at: usize,
}

impl Events {
    fn more(&mut self) -> Result<(), sealwright_lake::LakeError> {
        let filter = EventFilter::default();
        let page = self.handle.block_on(self.lake.events_of(
            TenantScope::One(self.tenant),
            &filter,
            Order::OldestFirst,
            self.cursor.as_ref(),
            LARGEST_PAGE,
        ))?;
        self.page.clear();
        self.at = 0;
        for event in &page.events {
            self.page.extend_from_slice(&event.json);
            self.page.push(b'\n');
        }
        self.ended = page.next.is_none();
        self.cursor = page.next;
        Ok(())
    }
}

impl Read for Events {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.at == self.page.len() {
            if self.ended {
                return Ok(0);
            }
            self.more().map_err(io::Error::other)?;
        }
        let n = to.len().min(self.page.len() - self.at);
        to[..n].copy_from_slice(&self.page[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
