//! Log sources: which rules an event is for.
//!
//! A rule names product, category and service. Of an event each of the three is *known* (a set,
//! as a Sysmon event is of `service: sysmon` and of `category: process_creation` at once) or
//! *unknown*. A rule is for an event unless it names a value for a dimension that is known and
//! does not have it. So nothing is lost where nothing is known, and a registry event never costs
//! the time of process rules.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::fold::fold;
use crate::model::LogSource;

/// Fields in which a normalised event states its product, category and service.
pub const STATED: [&str; 3] = [
    "sealwright.logsource.product",
    "sealwright.logsource.category",
    "sealwright.logsource.service",
];

/// Fields of a record of Windows from which its log source follows ([`windows`]).
pub const CHANNEL: [&str; 2] = ["Channel", "EventID"];

/// What is known about the log source of an event. Values are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EventSource {
    /// Products, or `None` when unknown.
    pub product: Option<Vec<String>>,
    /// Categories, or `None` when unknown.
    pub category: Option<Vec<String>>,
    /// Services, or `None` when unknown.
    pub service: Option<Vec<String>>,
}

impl EventSource {
    /// Nothing known: every rule is for such an event.
    pub const UNKNOWN: Self = Self {
        product: None,
        category: None,
        service: None,
    };

    /// Whether a rule for this log source is for the event.
    pub fn admits(&self, rule: &LogSource) -> bool {
        let fits = |rule: &Option<String>, event: &Option<Vec<String>>| match (rule, event) {
            (Some(r), Some(e)) => e.contains(r),
            _ => true,
        };
        fits(&rule.product, &self.product)
            && fits(&rule.category, &self.category)
            && fits(&rule.service, &self.service)
    }

    /// Reads `product=windows,category=process_creation`; several values of one key are joined.
    ///
    /// # Errors
    /// A text that names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = Self::UNKNOWN;
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("`{pair}` is not of the form key=value"));
            };
            let slot = match key.trim() {
                "product" => &mut out.product,
                "category" => &mut out.category,
                "service" => &mut out.service,
                other => return Err(format!("`{other}` is not product, category or service")),
            };
            slot.get_or_insert_default()
                .push(value.trim().to_lowercase());
        }
        Ok(out)
    }

    /// Fills what is unknown here from another source.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            product: self.product.or(other.product),
            category: self.category.or(other.category),
            service: self.service.or(other.service),
        }
    }
}

static WINDOWS: LazyLock<FxHashMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut map: FxHashMap<String, Vec<String>> = FxHashMap::default();
    let text = include_str!("../data/windows_services.tsv");
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        if let Some((service, channel)) = line.split_once('\t') {
            map.entry(fold(channel))
                .or_default()
                .push(service.to_owned());
        }
    }
    map
});

/// The log source of a Windows event (taxonomy appendix, "Windows Folder"). All three dimensions
/// are known, as the channel and the number of an event say what it is.
pub fn windows(channel: &str, event_id: &str) -> EventSource {
    let channel = fold(channel);
    let service = WINDOWS.get(&channel).cloned().unwrap_or_default();
    let category: &[&str] = match channel.as_str() {
        "microsoft-windows-sysmon/operational" => sysmon(event_id),
        "windows powershell" => match event_id {
            "400" => &["ps_classic_start"],
            "600" => &["ps_classic_provider_start"],
            "800" => &["ps_classic_script"],
            _ => &[],
        },
        "microsoft-windows-powershell/operational" | "powershellcore/operational" => match event_id
        {
            "4103" => &["ps_module"],
            "4104" => &["ps_script"],
            _ => &[],
        },
        // The process creation of Security auditing has other field names than Sysmon's; with a
        // field mapping the same rules work on it.
        "security" if event_id == "4688" => &["process_creation"],
        _ if channel.contains("kernel-file") => &["file_access", "file_rename"],
        _ => &[],
    };
    EventSource {
        product: Some(vec!["windows".to_owned()]),
        category: Some(category.iter().map(|c| (*c).to_owned()).collect()),
        service: Some(service),
    }
}

fn sysmon(event_id: &str) -> &'static [&'static str] {
    match event_id {
        "1" => &["process_creation"],
        "2" => &["file_change"],
        "3" => &["network_connection"],
        "4" | "16" => &["sysmon_status"],
        "5" => &["process_termination"],
        "6" => &["driver_load"],
        "7" => &["image_load"],
        "8" => &["create_remote_thread"],
        "9" => &["raw_access_thread"],
        "10" => &["process_access"],
        "11" => &["file_event"],
        "12" => &["registry_event", "registry_add", "registry_delete"],
        "13" => &["registry_event", "registry_set"],
        "14" => &["registry_event", "registry_rename"],
        "15" => &["create_stream_hash"],
        "17" | "18" => &["pipe_created"],
        "19" | "20" | "21" => &["wmi_event"],
        "22" => &["dns_query"],
        "23" => &["file_delete"],
        "24" => &["clipboard_capture"],
        "25" => &["process_tampering"],
        // One act, seen with and without a kept copy; rules are written for `file_delete`.
        "26" => &["file_delete_detected", "file_delete"],
        "27" => &["file_block_executable"],
        "28" => &["file_block_shredding"],
        "29" => &["file_executable_detected"],
        "255" => &["sysmon_error"],
        _ => &[],
    }
}
