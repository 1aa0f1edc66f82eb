//! Which rules meet a message. Pure.

use crate::message::Audience;
use crate::model::{Rule, StoredMessage};

/// Whether `text` is a topic, a beginning of topics (`billing.*`) or `*`.
pub(crate) fn is_pattern(text: &str) -> bool {
    let topic = text.strip_suffix(".*").unwrap_or(text);
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    text == "*" || (text.len() <= 100 && topic.split('.').all(word))
}

fn topic_matches(pattern: &str, topic: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.strip_suffix(".*") {
        Some(start) => topic
            .strip_prefix(start)
            .is_some_and(|rest| rest.starts_with('.')),
        None => pattern == topic,
    }
}

/// Whether `rule` sends `message` to its channels. A tenant's rule meets what is about the tenant and meant
/// for it; a rule of the installation meets everything.
pub(crate) fn matches(rule: &Rule, message: &StoredMessage) -> bool {
    let owner = match rule.tenant_id {
        None => true,
        Some(tenant) => message.audience == Audience::Tenant && message.tenant_id == Some(tenant),
    };
    let about = rule
        .about_tenant
        .is_none_or(|tenant| message.tenant_id == Some(tenant));
    rule.enabled
        && owner
        && about
        && message.severity >= rule.severity
        && topic_matches(&rule.topic, &message.topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for good in [
            "*",
            "billing.budget",
            "billing.*",
            "siem.alert.dpo",
            "a-b.c_d",
        ] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in [
            "", "Billing", "billing.", ".*", "**", "billing*", "a..b", "a b", "*.budget",
        ] {
            assert!(!is_pattern(bad), "{bad}");
        }
        assert!(topic_matches("billing.*", "billing.budget"));
        assert!(!topic_matches("billing.*", "billing"));
        assert!(!topic_matches("billing.*", "billings.budget"));
        assert!(!topic_matches("billing.budget", "billing.budget.hard"));
    }
}
