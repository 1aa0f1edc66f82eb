//! `sealwright notify …`: on the data folder, with no server running.

use std::io::Write;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use sealwright_access::Principal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::NotifyError;
use crate::message::Severity;
use crate::model::{DeliveryFilter, DeliveryState, Scheme};
use crate::quiet::Quiet;
use crate::service::{
    ChannelChange, Given, NewChannel, NewRule, NewTarget, NotifyService, RuleChange,
};
use crate::worker::Deliverer;
use crate::{ChannelState, MailTls};

type Result<T> = std::result::Result<T, NotifyError>;

/// Notifications: where they go, which ones, and what became of them.
#[derive(Debug, Clone, Subcommand)]
pub enum NotifyCommand {
    /// Where notifications go.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Which messages go to which channels.
    #[command(subcommand)]
    Rule(RuleCommand),
    /// What was sent, waits, is held or was given up.
    #[command(subcommand)]
    Delivery(DeliveryCommand),
}

/// `notify channel …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ChannelCommand {
    /// List channels.
    List(ListArgs),
    /// Create a channel. Its secret is read from standard input, so that it is in no process list.
    Create(CreateArgs),
    /// Send a test message to a channel, and say how it went.
    Test {
        /// The channel's id (`nch_…`).
        channel: String,
    },
    /// Replace a webhook's signing secret by a new one, which is printed once.
    Rotate {
        /// The channel's id (`nch_…`).
        channel: String,
        /// For how many hours the one before signs too.
        #[arg(long, default_value_t = 24)]
        overlap_hours: u32,
    },
    /// Switch a channel on.
    Enable {
        /// The channel's id (`nch_…`).
        channel: String,
    },
    /// Switch a channel off.
    Disable {
        /// The channel's id (`nch_…`).
        channel: String,
    },
    /// Delete a channel that no rule names.
    Delete {
        /// The channel's id (`nch_…`).
        channel: String,
    },
    /// Seal the secrets of all channels with the first key of the key file.
    Reseal,
}

/// `notify rule …`.
#[derive(Debug, Clone, Subcommand)]
pub enum RuleCommand {
    /// List rules.
    List,
    /// Create a rule.
    Create(RuleArgs),
    /// Switch a rule on.
    Enable {
        /// The rule's id (`nru_…`).
        rule: String,
    },
    /// Switch a rule off.
    Disable {
        /// The rule's id (`nru_…`).
        rule: String,
    },
    /// Delete a rule.
    Delete {
        /// The rule's id (`nru_…`).
        rule: String,
    },
}

/// `notify delivery …`.
#[derive(Debug, Clone, Subcommand)]
pub enum DeliveryCommand {
    /// List deliveries, newest first.
    List(DeliveryArgs),
    /// Put a delivery back into the queue and try it now.
    Resend {
        /// The delivery's id (`dlv_…`).
        delivery: String,
    },
}

/// Which page of a list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Rows, at most 500.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// The cursor that the page before printed.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// `notify delivery list`.
#[derive(Debug, Clone, Args)]
pub struct DeliveryArgs {
    /// In this state; `dead` for the dead letters.
    #[arg(long)]
    pub state: Option<DeliveryState>,
    /// Of this channel (`nch_…`).
    #[arg(long)]
    pub channel: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub page: ListArgs,
}

/// `notify channel create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub kind: KindArgs,
    /// A name for people.
    #[arg(long)]
    pub name: String,
    /// Slug or id of the tenant whose channel it is; of the installation when absent.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Quiet hours, e.g. `22:00-07:00 Europe/Berlin`; critical messages pass.
    #[arg(long, value_name = "FROM-TO ZONE")]
    pub quiet: Option<String>,
    /// From this severity on messages pass quiet hours.
    #[arg(long, requires = "quiet")]
    pub passes: Option<Severity>,
    /// Deliveries per minute at most.
    #[arg(long)]
    pub per_minute: Option<u32>,
}

/// The kinds of channels.
#[derive(Debug, Clone, Subcommand)]
pub enum KindArgs {
    /// A Slack incoming webhook; standard input: its address.
    Slack,
    /// PagerDuty Events API v2; standard input: the routing key.
    Pagerduty {
        /// `https://events.eu.pagerduty.com` in Europe.
        #[arg(long)]
        events_url: Option<String>,
    },
    /// Mailboxes; standard input: the password, where there is an account.
    Email {
        /// The relay's name.
        #[arg(long)]
        host: String,
        /// Its port.
        #[arg(long)]
        port: Option<u16>,
        /// How the way to it is protected.
        #[arg(long)]
        tls: Option<MailTls>,
        /// The account there.
        #[arg(long)]
        username: Option<String>,
        /// The sender.
        #[arg(long)]
        from: String,
        /// A recipient; may be given several times.
        #[arg(long, required = true)]
        to: Vec<String>,
    },
    /// Issues of a GitHub repository; standard input: a token.
    Github {
        /// `owner/name`.
        #[arg(long)]
        repository: String,
        /// A label; may be given several times.
        #[arg(long)]
        label: Vec<String>,
        /// The API of an enterprise server.
        #[arg(long)]
        api_url: Option<String>,
    },
    /// A program, by Standard Webhooks; standard input: its address. A signing secret is made and printed
    /// once.
    Webhook {
        /// How it is signed.
        #[arg(long)]
        signature: Option<Scheme>,
    },
}

/// `notify rule create`.
#[derive(Debug, Clone, Args)]
pub struct RuleArgs {
    /// A name for people.
    #[arg(long)]
    pub name: String,
    /// `billing.budget`, `billing.*` or `*`.
    #[arg(long)]
    pub topic: String,
    /// From this severity on.
    #[arg(long)]
    pub severity: Option<Severity>,
    /// Only messages about this tenant, by slug or id.
    #[arg(long)]
    pub about: Option<String>,
    /// Slug or id of the tenant whose rule it is; of the installation when absent.
    #[arg(long)]
    pub tenant: Option<String>,
    /// A channel (`nch_…`); may be given several times.
    #[arg(long, required = true)]
    pub channel: Vec<String>,
}

/// Where a command reads secrets and writes.
#[allow(missing_debug_implementations)]
pub struct Output<'a> {
    /// Data.
    pub out: &'a mut (dyn Write + Send),
    /// Everything else.
    pub err: &'a mut (dyn Write + Send),
    /// JSON instead of a table.
    pub json: bool,
    /// The first line of standard input, read when a command needs a secret.
    pub secret: &'a mut (dyn FnMut() -> std::io::Result<String> + Send),
}

impl Output<'_> {
    fn table<T: Serialize>(
        &mut self,
        columns: &[&str],
        items: &[T],
        next: Option<&str>,
    ) -> Result<()> {
        let rows: Vec<Value> = items
            .iter()
            .filter_map(|item| serde_json::to_value(item).ok())
            .collect();
        if self.json {
            writeln!(self.out, "{}", json!({"items": rows, "next": next}))?;
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(columns.iter().map(|column| {
            let last = column.rsplit('/').next().unwrap_or(column);
            last.to_uppercase()
        }));
        for row in &rows {
            table.add_row(columns.iter().map(|column| {
                let value = if column.starts_with('/') {
                    row.pointer(column)
                } else {
                    row.get(*column)
                };
                match value {
                    None | Some(Value::Null) => "-".to_owned(),
                    Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Array(parts)) => parts
                        .iter()
                        .map(|part| part.as_str().unwrap_or_default())
                        .collect::<Vec<_>>()
                        .join(" "),
                    Some(other) => other.to_string(),
                }
            }));
        }
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        writeln!(self.out, "{}", lines.join("\n"))?;
        if let Some(next) = next {
            writeln!(self.err, "hint: there is more: --cursor {next}")?;
        }
        Ok(())
    }

    fn done<T: Serialize>(&mut self, item: &T, text: &str) -> Result<()> {
        if self.json {
            writeln!(self.out, "{}", json!(item))?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }

    fn given(&mut self) -> Result<Given> {
        Ok(Given::new((self.secret)()?.trim().to_owned()))
    }
}

/// Does `command` as whoever holds the data folder. `false` when a delivery did not arrive (exit code 1).
///
/// # Errors
/// What the service refused.
pub async fn run(
    service: &NotifyService,
    command: NotifyCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    match command {
        NotifyCommand::Channel(command) => channel(service, command, output).await,
        NotifyCommand::Rule(command) => rule(service, command, output).await,
        NotifyCommand::Delivery(command) => delivery(service, command, output).await,
    }
}

async fn channel(
    service: &NotifyService,
    command: ChannelCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let by = Principal::local();
    match command {
        ChannelCommand::List(args) => {
            let page = service
                .channels(&by, args.cursor.as_deref(), Some(args.limit))
                .await?;
            let columns = [
                "id",
                "name",
                "/target/kind",
                "tenant_id",
                "state",
                "per_minute",
                "state_reason",
            ];
            output.table(&columns, &page.items, page.next.as_deref())?;
        }
        ChannelCommand::Create(args) => {
            let new = new_channel(args, output)?;
            let made = service.create_channel(&by, new).await?;
            let id = made.channel.id.to_string();
            output.done(&made, &id)?;
            if let Some(secret) = made.secret.as_ref().filter(|_| !output.json) {
                writeln!(output.out, "{secret}")?;
                writeln!(
                    output.err,
                    "hint: the second line is the signing secret; it is not shown again"
                )?;
            }
            if !output.json {
                writeln!(output.err, "hint: sealwright notify channel test {id}")?;
            }
        }
        ChannelCommand::Test { channel } => {
            let test = service.test_channel(&by, &channel).await?;
            return tried(service, &test.id.to_string(), output).await;
        }
        ChannelCommand::Rotate {
            channel,
            overlap_hours,
        } => {
            let overlap = i64::from(overlap_hours) * sealwright_core::clock::HOUR;
            let rotated = service.rotate_secret(&by, &channel, None, overlap).await?;
            let secret = rotated.secret.clone().unwrap_or_default();
            output.done(&rotated, &secret)?;
        }
        ChannelCommand::Enable { channel } => {
            set_state(service, &channel, ChannelState::Active, output).await?
        }
        ChannelCommand::Disable { channel } => {
            set_state(service, &channel, ChannelState::Disabled, output).await?
        }
        ChannelCommand::Delete { channel } => {
            service.delete_channel(&by, &channel).await?;
            output.done(&json!({"deleted": channel}), &channel)?;
        }
        ChannelCommand::Reseal => {
            let count = service.reseal(&by).await?;
            output.done(
                &json!({"resealed": count}),
                &format!("{count} sealed again"),
            )?;
        }
    }
    Ok(true)
}

async fn set_state(
    service: &NotifyService,
    id: &str,
    state: ChannelState,
    output: &mut Output<'_>,
) -> Result<()> {
    let change = ChannelChange {
        state: Some(state),
        ..ChannelChange::default()
    };
    let channel = service
        .change_channel(&Principal::local(), id, None, change)
        .await?;
    output.done(&channel, &format!("{id} {}", channel.state))
}

fn quiet(text: &str, passes: Option<Severity>) -> Result<Quiet> {
    let invalid = |detail: String| NotifyError::Invalid {
        field: "quiet",
        detail,
    };
    let form = || invalid("is not of the form `22:00-07:00 Europe/Berlin`".to_owned());
    let (hours, zone) = text.trim().split_once(' ').ok_or_else(form)?;
    let (from, to) = hours.split_once('-').ok_or_else(form)?;
    Ok(Quiet {
        zone: zone.trim().to_owned(),
        from: from.parse().map_err(invalid)?,
        to: to.parse().map_err(invalid)?,
        days: Vec::new(),
        passes: passes.unwrap_or(Severity::Critical),
    })
}

fn new_channel(args: CreateArgs, output: &mut Output<'_>) -> Result<NewChannel> {
    let quiet = args
        .quiet
        .as_deref()
        .map(|text| quiet(text, args.passes))
        .transpose()?;
    let target = match args.kind {
        KindArgs::Slack => NewTarget::Slack {
            webhook_url: output.given()?,
        },
        KindArgs::Pagerduty { events_url } => NewTarget::Pagerduty {
            routing_key: output.given()?,
            events_url,
        },
        KindArgs::Email {
            host,
            port,
            tls,
            username,
            from,
            to,
        } => NewTarget::Email {
            password: match &username {
                Some(_) => Some(output.given()?),
                None => None,
            },
            host,
            port,
            tls,
            username,
            from,
            to,
        },
        KindArgs::Github {
            repository,
            label,
            api_url,
        } => NewTarget::Github {
            repository,
            token: output.given()?,
            labels: label,
            api_url,
        },
        KindArgs::Webhook { signature } => NewTarget::Webhook {
            url: output.given()?,
            signature,
            secret: None,
        },
    };
    Ok(NewChannel {
        name: args.name,
        tenant: args.tenant,
        target,
        quiet,
        per_minute: args.per_minute,
    })
}

async fn rule(
    service: &NotifyService,
    command: RuleCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let by = Principal::local();
    let switch = |enabled| RuleChange {
        enabled: Some(enabled),
        ..RuleChange::default()
    };
    match command {
        RuleCommand::List => {
            let rules = service.rules(&by).await?;
            let columns = [
                "id",
                "name",
                "topic",
                "severity",
                "tenant_id",
                "about_tenant",
                "enabled",
                "channels",
            ];
            output.table(&columns, &rules, None)?;
        }
        RuleCommand::Create(args) => {
            let new = NewRule {
                name: args.name,
                tenant: args.tenant,
                topic: args.topic,
                severity: args.severity,
                about: args.about,
                channels: args.channel,
            };
            let rule = service.create_rule(&by, new).await?;
            output.done(&rule, &rule.id.to_string())?;
        }
        RuleCommand::Enable { rule } => {
            let rule = service.change_rule(&by, &rule, None, switch(true)).await?;
            output.done(&rule, &format!("{} enabled", rule.id))?;
        }
        RuleCommand::Disable { rule } => {
            let rule = service.change_rule(&by, &rule, None, switch(false)).await?;
            output.done(&rule, &format!("{} disabled", rule.id))?;
        }
        RuleCommand::Delete { rule } => {
            service.delete_rule(&by, &rule).await?;
            output.done(&json!({"deleted": rule}), &rule)?;
        }
    }
    Ok(true)
}

async fn delivery(
    service: &NotifyService,
    command: DeliveryCommand,
    output: &mut Output<'_>,
) -> Result<bool> {
    let by = Principal::local();
    match command {
        DeliveryCommand::List(args) => {
            let filter = DeliveryFilter {
                state: args.state,
                channel: args.channel,
                message: None,
                cursor: args.page.cursor,
                limit: Some(args.page.limit),
            };
            let page = service.deliveries(&by, &filter).await?;
            let columns = [
                "id", "channel", "topic", "severity", "state", "attempts", "next_at", "status",
                "answer",
            ];
            output.table(&columns, &page.items, page.next.as_deref())?;
            Ok(true)
        }
        DeliveryCommand::Resend { delivery } => {
            service.resend(&by, &delivery).await?;
            tried(service, &delivery, output).await
        }
    }
}

/// Sends what is due, and says what became of one delivery.
async fn tried(service: &NotifyService, id: &str, output: &mut Output<'_>) -> Result<bool> {
    let holder = format!("command line {}", std::process::id());
    Deliverer::new(service.clone(), &holder).drain().await?;
    let delivery = service.delivery(&Principal::local(), id).await?;
    output.done(&delivery, &format!("{id} {}", delivery.state))?;
    let sent = delivery.state == DeliveryState::Sent;
    if !sent && let Some(answer) = &delivery.answer {
        writeln!(output.err, "error: {answer}")?;
    }
    Ok(sent)
}
