//! Resolves the tables of `sensor-abi` against the running kernel's BTF: the layout of its structures, and the places to
//! attach hooks to.

use std::collections::BTreeSet;

use sensor_abi::{Attach, HOOKS, Hook, KERNEL_LAYOUT, KernelLayout, LayoutEntry, Need, Source};
use zerocopy::FromBytes;

use super::btf::{Btf, BtfError, with_typedefs};

/// The running kernel's type information (Linux 5.4 and later with `CONFIG_DEBUG_INFO_BTF`).
pub(crate) const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// What the running kernel offers of the tables.
pub(crate) struct Resolved {
    pub layout: KernelLayout,
    /// The hooks that can be attached.
    pub hooks: Vec<&'static Hook>,
    /// Type information with the hooks' places alone, for the loader.
    pub places: Vec<u8>,
    /// Required entries that the kernel lacks, with the kernels that have them.
    pub missing: Vec<String>,
    /// What is not reported because the kernel lacks optional entries.
    pub disabled: BTreeSet<&'static str>,
}

/// Resolves every entry of the tables from `btf_bytes`, the content of `/sys/kernel/btf/vmlinux`.
///
/// # Errors
/// The bytes are not BTF that can be read.
pub(crate) fn resolve(btf_bytes: &[u8]) -> Result<Resolved, BtfError> {
    let places: Vec<String> = HOOKS.iter().map(place).collect();
    let structures: BTreeSet<&str> = KERNEL_LAYOUT.iter().map(structure).collect();
    let names: Vec<&str> = structures
        .into_iter()
        .chain(places.iter().map(String::as_str))
        .collect();
    let btf = Btf::parse(btf_bytes, &names)?;
    let mut numbers = Vec::with_capacity(KERNEL_LAYOUT.len());
    let mut missing = Vec::new();
    let mut disabled = BTreeSet::new();
    let mut hooks = Vec::with_capacity(HOOKS.len());
    let mut lack = |need: Need, description: String| match need {
        Need::Required => missing.push(description),
        Need::Optional(what) => {
            disabled.insert(what);
        }
        Need::Replaced => {}
    };
    let mut found = Vec::with_capacity(HOOKS.len());
    for (hook, place) in HOOKS.iter().zip(&places) {
        if let Some(id) = btf.typedef_id(place) {
            hooks.push(hook);
            found.push((place.as_str(), id));
        } else {
            let Attach::BtfTracepoint(tracepoint) = hook.attach;
            lack(
                hook.need,
                with_kernels(&format!("tracepoint {tracepoint}"), hook.kernels),
            );
        }
    }
    for entry in KERNEL_LAYOUT {
        let number = match entry.source {
            Source::Member(structure, path) => btf.member_offset(structure, path),
            Source::Enumerator(enumeration, name) => btf.enumerator(enumeration, name),
            Source::Size(structure) => btf.size(structure),
        };
        if number.is_none() {
            lack(entry.need, with_kernels(&describe(entry), entry.kernels));
        }
        numbers.push(number.unwrap_or(KernelLayout::ABSENT));
    }
    if let Some(kind) = btf.unknown_kind()
        && !missing.is_empty()
    {
        missing.push(format!(
            "a type of the kind {kind}, which is not known, hides what follows it"
        ));
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    // The table has one entry for each field, in order, so the sizes agree.
    let layout = KernelLayout::read_from_bytes(&bytes).unwrap_or(KernelLayout::UNRESOLVED);
    Ok(Resolved {
        layout,
        hooks,
        places: with_typedefs(&found),
        missing,
        disabled,
    })
}

/// The name under which BTF lists the hook's place.
fn place(hook: &Hook) -> String {
    let Attach::BtfTracepoint(tracepoint) = hook.attach;
    format!("btf_trace_{tracepoint}")
}

fn structure(entry: &LayoutEntry) -> &'static str {
    match entry.source {
        Source::Member(name, _) | Source::Enumerator(name, _) | Source::Size(name) => name,
    }
}

fn describe(entry: &LayoutEntry) -> String {
    match entry.source {
        Source::Member(structure, path) => format!("{structure}.{path}"),
        Source::Enumerator(enumeration, name) => format!("{enumeration} {name}"),
        Source::Size(structure) => structure.to_owned(),
    }
}

fn with_kernels(what: &str, kernels: &str) -> String {
    format!("{what} (Linux {kernels} has it)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_long_as_the_structure_that_it_fills() {
        assert_eq!(size_of::<KernelLayout>(), KERNEL_LAYOUT.len() * size_of::<u32>());
    }

    #[test]
    fn the_running_kernel_has_every_entry() {
        let bytes =
            std::fs::read(BTF_PATH).expect("this test runs on kernels with type information, as the sensor does");
        let resolved = resolve(&bytes).unwrap();
        assert_eq!(resolved.missing, Vec::<String>::new());
        assert_eq!(resolved.hooks.len(), HOOKS.len());
        assert_ne!(resolved.layout.task_pid, KernelLayout::ABSENT);
        assert_eq!(resolved.layout.upid_size % 8, 0);
    }
}
