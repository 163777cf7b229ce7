//! The process chain of an alert: from the entry leader down to the process itself.

use serde::Serialize;
use serde_json::Value;

use crate::event::Event;
use crate::process::Process;
use crate::record::RecordBuilder;
use crate::text::document::{self, Document};

/// A link keeps this many bytes of its arguments; `args_count` says how many there were.
const MAX_LINK_ARGUMENT_BYTES: usize = 1024;

/// A process on the way from the entry leader to the process of the alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ChainLink {
    pub(crate) pid: i64,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    /// How many arguments there were; more than `args` holds if they were too long.
    pub(crate) args_count: usize,
    pub(crate) entity_id: String,
    pub(crate) interactive: bool,
}

impl ChainLink {
    /// The arguments that fit, and how many there are in all.
    pub(crate) fn bounded_arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (Vec<String>, usize) {
        let mut kept = Vec::new();
        let mut count = 0;
        let mut bytes = 0;
        for argument in arguments {
            count += 1;
            bytes += argument.len();
            if bytes <= MAX_LINK_ARGUMENT_BYTES {
                kept.push(argument.to_owned());
            }
        }
        (kept, count)
    }

    /// The memory that it takes, about.
    pub(super) fn memory(&self) -> usize {
        let args: usize = self.args.iter().map(|arg| size_of::<String>() + arg.capacity()).sum();
        size_of::<Self>() + self.name.capacity() + self.entity_id.capacity() + args
    }
}

/// The chain as the process table has it.
pub(crate) fn chain_of(event: &Event<'_>, builder: &RecordBuilder) -> Vec<ChainLink> {
    let link = |process: &Process| {
        let image = process.image();
        let (args, _) = ChainLink::bounded_arguments(image.args().iter());
        ChainLink {
            pid: i64::from(process.key.pid),
            name: image.name.to_string(),
            args,
            args_count: image.arguments.count as usize,
            entity_id: builder.entity_id(process.key),
            interactive: process.is_interactive(),
        }
    };
    event.table.chain(event.process.key).into_iter().map(link).collect()
}

/// The chain as far as the event's document has it: entry leader, session leader, parent, process.
pub(crate) fn chain_from_event(event: &Document) -> Vec<ChainLink> {
    let mut chain: Vec<ChainLink> = Vec::new();
    for prefix in [
        "process.entry_leader",
        "process.session_leader",
        "process.parent",
        "process",
    ] {
        let field = |name: &str| format!("{prefix}.{name}");
        let Some(pid) = document::integer(event, &field("pid")) else {
            continue;
        };
        let (args, args_count) = ChainLink::bounded_arguments(document::texts(event, &field("args")));
        let link = ChainLink {
            pid,
            name: document::text(event, &field("name")).unwrap_or_default().to_owned(),
            args,
            args_count,
            entity_id: document::text(event, &field("entity_id"))
                .unwrap_or_default()
                .to_owned(),
            interactive: document::get(event, &field("interactive")) == Some(&Value::Bool(true)),
        };
        // The last mention of a process knows most of it.
        chain.retain(|known| (known.pid, &known.entity_id) != (link.pid, &link.entity_id));
        chain.push(link);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_counts_the_arguments_it_does_not_keep() {
        let long = "x".repeat(MAX_LINK_ARGUMENT_BYTES);
        let (kept, count) = ChainLink::bounded_arguments(["sh", "-c", &long]);
        assert_eq!((kept, count), (vec!["sh".to_owned(), "-c".to_owned()], 3));
    }
}
