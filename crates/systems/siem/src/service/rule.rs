//! Rules: the files and what is set for them.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use sealwright_core::{Clock, Digest, TenantId, TenantScope};
use sealwright_ledger::{EntryDraft, Ledger};
use sealwright_sigma::Limits;
use sealwright_sigma::collection::Collection;
use sealwright_store::{Store, as_system};
use serde_json::json;

use super::SiemError;
use super::builtin;
use super::ruleset::{self, Ruleset, Settings_};
use crate::model::{RuleFile, RuleInfo, Setting};
use crate::store::rule as rows;

/// The largest rule file in bytes.
pub const LARGEST_FILE: usize = 4 << 20;

/// Files and settings of a generation.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The number that grows with each change.
    pub generation: i64,
    /// The program's files, then the installation's own.
    pub files: Arc<Vec<RuleFile>>,
    /// Settings for all tenants.
    pub common: Settings_,
    /// Settings of tenants that have some, with the common ones under them.
    pub tenants: BTreeMap<TenantId, Settings_>,
}

impl Sources {
    /// What is set for a tenant; `None` for all.
    pub fn settings(&self, tenant: Option<TenantId>) -> &Settings_ {
        tenant
            .and_then(|tenant| self.tenants.get(&tenant))
            .unwrap_or(&self.common)
    }
}

/// Compiled rules with their generation, by tenant; `None` for all without settings of their own.
type Compiled = BTreeMap<Option<TenantId>, (i64, Arc<Ruleset>)>;

/// Keeps rules and settings.
#[derive(Debug, Clone)]
pub struct RuleService {
    store: Store,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    floor: Arc<Vec<RuleFile>>,
    compiled: Arc<RwLock<Compiled>>,
}

impl RuleService {
    /// Keeps them in `store`, beside those that the program comes with.
    pub fn new(store: Store, ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self::with_floor(store, ledger, clock, builtin::files())
    }

    /// The same with other files in the place of the program's.
    pub fn with_floor(
        store: Store,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        floor: Vec<RuleFile>,
    ) -> Self {
        Self {
            store,
            ledger,
            clock,
            floor: Arc::new(floor),
            compiled: Arc::default(),
        }
    }

    /// The number that grows with each change.
    ///
    /// # Errors
    /// From the state.
    pub async fn generation(&self) -> Result<i64, SiemError> {
        Ok(rows::generation_now(&self.store).await?)
    }

    /// All files and settings as they are now.
    ///
    /// # Errors
    /// From the state.
    pub async fn sources(&self) -> Result<Sources, SiemError> {
        let generation = self.generation().await?;
        let mut files: Vec<RuleFile> = self.floor.as_ref().clone();
        files.extend(
            rows::files(&self.store)
                .await?
                .into_iter()
                .map(|own| own.file),
        );
        let mut common = Settings_::new();
        let mut of_tenants: BTreeMap<TenantId, Vec<rows::Kept>> = BTreeMap::new();
        // Of all tenants, whoever's change made them be read again.
        for kept in as_system(rows::settings(&self.store, TenantScope::All)).await? {
            match kept.tenant {
                None => {
                    common.insert(kept.rule_id, kept.setting);
                }
                Some(tenant) => of_tenants.entry(tenant).or_default().push(kept),
            }
        }
        let tenants = of_tenants
            .into_iter()
            .map(|(tenant, list)| {
                let mut settings = common.clone();
                for kept in list {
                    let under = settings.remove(&kept.rule_id).unwrap_or_default();
                    settings.insert(kept.rule_id, under.with(&kept.setting));
                }
                (tenant, settings)
            })
            .collect();
        Ok(Sources {
            generation,
            files: Arc::new(files),
            common,
            tenants,
        })
    }

    /// The compiled rules of a tenant, or those of all tenants without settings of their own.
    ///
    /// # Errors
    /// From the state.
    pub async fn compiled(&self, tenant: Option<TenantId>) -> Result<Arc<Ruleset>, SiemError> {
        let generation = self.generation().await?;
        let held = {
            let compiled = self.compiled.read().unwrap_or_else(|e| e.into_inner());
            compiled.get(&tenant).cloned()
        };
        if let Some((of, ruleset)) = held
            && of == generation
        {
            return Ok(ruleset);
        }
        let sources = self.sources().await?;
        let own = tenant.filter(|tenant| sources.tenants.contains_key(tenant));
        let settings = sources.settings(own).clone();
        let files = Arc::clone(&sources.files);
        let ruleset = tokio::task::spawn_blocking(move || Ruleset::compile(&files, &settings))
            .await
            .map_err(|error| SiemError::Invalid(error.to_string()))?;
        let ruleset = Arc::new(ruleset);
        let mut compiled = self.compiled.write().unwrap_or_else(|e| e.into_inner());
        // A page is looked at for one tenant after the other: what is old goes first.
        if compiled.len() > 64 {
            compiled.clear();
        }
        compiled.insert(tenant, (sources.generation, Arc::clone(&ruleset)));
        Ok(ruleset)
    }

    /// Rules as lists show them, and what could not be loaded.
    ///
    /// # Errors
    /// From the state.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<(Vec<RuleInfo>, Vec<String>), SiemError> {
        let compiled = self.compiled(tenant).await?;
        Ok((compiled.infos.clone(), compiled.errors.clone()))
    }

    /// One rule, with the text of its file.
    ///
    /// # Errors
    /// [`SiemError::NotFound`].
    pub async fn find(
        &self,
        tenant: Option<TenantId>,
        id: &str,
    ) -> Result<(RuleInfo, String), SiemError> {
        let compiled = self.compiled(tenant).await?;
        let info = compiled
            .infos
            .iter()
            .find(|info| info.id == id)
            .cloned()
            .ok_or_else(|| SiemError::NotFound(format!("the rule `{id}`")))?;
        let sources = self.sources().await?;
        let text = sources
            .files
            .iter()
            .find(|file| file.name == info.file)
            .map(|file| file.text.clone())
            .unwrap_or_default();
        Ok((info, text))
    }

    /// Everything that is set for a rule, for all tenants and for those in the scope.
    ///
    /// # Errors
    /// From the state.
    pub async fn settings(
        &self,
        scope: TenantScope,
        id: &str,
    ) -> Result<Vec<rows::Kept>, SiemError> {
        let all = rows::settings(&self.store, scope).await?;
        Ok(all.into_iter().filter(|kept| kept.rule_id == id).collect())
    }

    /// Sets something for a rule, for one tenant or (`None`) for all. `change` gets what is set now.
    ///
    /// # Errors
    /// [`SiemError::NotFound`], [`SiemError::Invalid`], [`SiemError::Stale`].
    pub async fn set(
        &self,
        tenant: Option<TenantId>,
        id: &str,
        revision: Option<i64>,
        change: impl FnOnce(Setting) -> Setting + Send,
        actor: &str,
    ) -> Result<rows::Kept, SiemError> {
        let sources = self.sources().await?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let before = rows::setting(&mut tx, id, tenant).await?;
        let seen = before.as_ref().map_or(0, |kept| kept.revision);
        if let Some(given) = revision.filter(|given| *given != seen) {
            return Err(SiemError::Stale { seen: given });
        }
        let old = before.map(|kept| kept.setting).unwrap_or_default();
        let kept = rows::Kept {
            rule_id: id.to_owned(),
            tenant,
            setting: change(old.clone()),
            revision: seen + 1,
        };
        ruleset::check(&sources.files, id, &kept.setting).map_err(|why| {
            if why.starts_with("there is no rule") {
                SiemError::NotFound(format!("the rule `{id}`"))
            } else {
                SiemError::Invalid(why)
            }
        })?;
        for action in kept.setting.actions.iter().flatten() {
            super::respond::automatic(action)?;
        }
        rows::put_setting(&mut tx, &kept, now, actor).await?;
        rows::next_generation(&mut tx).await?;
        let value = |setting: &Setting| serde_json::to_value(setting).unwrap_or_default();
        let mut entry = EntryDraft::new(actor, "siem.rule.set", subject(id))
            .before(Digest::of_json(&value(&old)))
            .after(Digest::of_json(&value(&kept.setting)))
            .details(json!({ "rule": id, "before": value(&old), "after": value(&kept.setting) }));
        entry.tenant = tenant;
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(kept)
    }

    /// Adds a rule file, or puts it in the place of the one of its name. Nothing is kept of a file that
    /// has a fault.
    ///
    /// # Errors
    /// [`SiemError::Faults`] with every fault and its place.
    pub async fn put_file(
        &self,
        name: &str,
        text: &str,
        actor: &str,
    ) -> Result<Vec<String>, SiemError> {
        check_name(name)?;
        if text.len() > LARGEST_FILE {
            return Err(SiemError::Invalid(format!(
                "{name}: the file has more than {LARGEST_FILE} bytes"
            )));
        }
        if self.floor.iter().any(|file| file.name == name) {
            return Err(SiemError::Invalid(format!(
                "{name} is one of the files that the program comes with; choose another name"
            )));
        }
        let sources = self.sources().await?;
        let others: Vec<RuleFile> = sources
            .files
            .iter()
            .filter(|file| file.name != name)
            .cloned()
            .collect();
        let mut collection = Collection::default();
        for file in &others {
            collection.add(
                &file.name,
                &file.text,
                &Limits::default(),
                &Default::default(),
            );
        }
        let before = (collection.rules.len(), collection.errors.len());
        collection.add(name, text, &Limits::default(), &Default::default());
        collection.finish(&[]);
        let faults: Vec<String> = collection
            .errors
            .iter()
            .filter(|error| error.file == name)
            .map(ToString::to_string)
            .collect();
        if !faults.is_empty() {
            return Err(SiemError::Faults(faults));
        }
        if before.0 == collection.rules.len()
            && !text.contains("correlation")
            && !text.contains("filter")
        {
            return Err(SiemError::Invalid(format!(
                "{name}: there is no rule in it"
            )));
        }
        let file = RuleFile {
            name: name.to_owned(),
            digest: Digest::of(text.as_bytes()),
            text: text.to_owned(),
            floor: false,
        };
        let mut tx = self.store.begin().await?;
        let there = rows::file(&mut tx, name).await?;
        if there
            .as_ref()
            .is_some_and(|own| own.file.digest == file.digest)
        {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let own = rows::OwnFile {
            revision: there.as_ref().map_or(1, |own| own.revision + 1),
            updated_at: self.clock.now(),
            updated_by: actor.to_owned(),
            file,
        };
        rows::put_file(&mut tx, &own).await?;
        rows::next_generation(&mut tx).await?;
        let mut entry = EntryDraft::new(actor, "siem.rule-file.put", subject(name))
            .after(own.file.digest)
            .details(json!({ "file": name, "revision": own.revision }));
        entry.before = there.map(|own| own.file.digest);
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(collection
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect())
    }

    /// Removes one of the installation's own files.
    ///
    /// # Errors
    /// [`SiemError::NotFound`].
    pub async fn remove_file(&self, name: &str, actor: &str) -> Result<(), SiemError> {
        let mut tx = self.store.begin().await?;
        let there = rows::file(&mut tx, name)
            .await?
            .ok_or_else(|| SiemError::NotFound(format!("the rule file `{name}`")))?;
        rows::remove_file(&mut tx, name).await?;
        rows::next_generation(&mut tx).await?;
        let entry = EntryDraft::new(actor, "siem.rule-file.remove", subject(name))
            .before(there.file.digest)
            .details(json!({ "file": name }));
        self.ledger.record(&mut tx, &entry).await?;
        tx.commit().await?;
        self.ledger.nudge();
        Ok(())
    }
}

/// A rule or a file as the ledger's subject: public, so a digest of its name.
fn subject(name: &str) -> String {
    format!("rule:{}", Digest::of(name.as_bytes()).short())
}

fn check_name(name: &str) -> Result<(), SiemError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || name.len() > 200 || !name.chars().all(good) || name.contains("..") {
        return Err(SiemError::Invalid(format!(
            "`{}` is not a name of a rule file: 1 to 200 letters, digits, `.`, `_`, `-` and `/`",
            name.chars().take(60).collect::<String>()
        )));
    }
    Ok(())
}
