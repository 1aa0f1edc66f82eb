//! The one place that makes query sessions.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::error::{LakeError, Result};
use crate::udf;

/// Bytes of Parquet footers and page indexes that are kept between queries.
const METADATA_CACHE: usize = 256 << 20;

/// Functions that make large values out of small ones: their results are not counted against a query's
/// memory.
const REFUSED_FUNCTIONS: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "range",
    "generate_series",
    "gen_series",
];

/// How data files are named in plans: relative to the table, so that no plan shows the server's folders.
pub(crate) fn store_url() -> Result<ObjectStoreUrl> {
    Ok(ObjectStoreUrl::parse("lake://events")?)
}

/// What all sessions of a table in a folder share.
pub(crate) fn runtime_in_folder(table: &Path) -> Result<Arc<RuntimeEnv>> {
    let files =
        LocalFileSystem::new_with_prefix(table).map_err(|e| LakeError::Table(e.to_string()))?;
    runtime(Arc::new(files))
}

/// What all sessions share: the files and the cache of their footers.
pub(crate) fn runtime(files: Arc<dyn ObjectStore>) -> Result<Arc<RuntimeEnv>> {
    let runtime = RuntimeEnvBuilder::new()
        .with_metadata_cache_limit(METADATA_CACHE)
        .build_arc()?;
    // What is not registered cannot be read, whatever a query says.
    let _ = runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref());
    runtime.register_object_store(store_url()?.as_ref(), files);
    Ok(runtime)
}

/// The same with a memory limit in bytes of its own, without spilling to disk.
pub(crate) fn limited(shared: &RuntimeEnv, memory: usize) -> Result<Arc<RuntimeEnv>> {
    Ok(RuntimeEnvBuilder::from_runtime_env(shared)
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()?)
}

/// What all sessions have set, wherever they run.
pub(crate) fn configure(config: &mut SessionConfig) {
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".to_owned());
    options.execution.collect_statistics = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.execution.parquet.enable_page_index = true;
    options.sql_parser.collect_spans = true;
}

/// A session to be, with a memory limit in bytes. `explain_files` lets plans name data files.
pub(crate) fn builder(
    shared: &RuntimeEnv,
    memory: usize,
    explain_files: bool,
) -> Result<SessionStateBuilder> {
    let mut config = SessionConfig::new()
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(true);
    configure(&mut config);
    config.options_mut().explain.logical_plan_only = !explain_files;
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(limited(shared, memory)?)
        .with_default_features()
        // No file formats and no table functions: there is nothing to read but the registered views.
        .with_file_formats(Vec::new())
        .with_table_functions(std::collections::HashMap::new()))
}

/// A session in which SQL is asked.
pub(crate) fn context(state: SessionState) -> SessionContext {
    let context = SessionContext::new_with_state(state);
    for name in REFUSED_FUNCTIONS {
        context.deregister_udf(name);
    }
    for function in udf::all() {
        context.register_udf(function);
    }
    context
}
