//! Resolves the kernel layout table of `sensor-abi` from the running kernel's BTF.

use std::collections::BTreeSet;

use sensor_abi::{KERNEL_LAYOUT, KernelLayout, LayoutEntry, Need, Source};
use zerocopy::FromBytes;

use super::btf::{Btf, BtfError};

/// What the running kernel has of the table.
pub struct Resolved {
    pub layout: KernelLayout,
    /// Entries without which the sensor cannot run, as `structure.member`, with the kernels that have them.
    pub missing: Vec<String>,
    /// What is not reported because the kernel lacks an entry.
    pub disabled: BTreeSet<&'static str>,
}

/// Resolves every entry of the table from `btf_bytes`, the content of `/sys/kernel/btf/vmlinux`.
///
/// # Errors
/// The bytes are not BTF that can be read.
pub fn resolve(btf_bytes: &[u8]) -> Result<Resolved, BtfError> {
    let names: BTreeSet<&str> = KERNEL_LAYOUT.iter().map(|entry| structure(entry)).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let btf = Btf::parse(btf_bytes, &names)?;
    let mut numbers = Vec::with_capacity(KERNEL_LAYOUT.len());
    let mut missing = Vec::new();
    let mut disabled = BTreeSet::new();
    for entry in KERNEL_LAYOUT {
        let number = match entry.source {
            Source::Member(structure, path) => btf.member_offset(structure, path),
            Source::Enumerator(enumeration, name) => btf.enumerator(enumeration, name),
            Source::Size(structure) => btf.size(structure),
        };
        match (number, entry.need) {
            (Some(_), _) => {}
            (None, Need::Required) => missing.push(describe(entry)),
            (None, Need::Optional(what)) => {
                disabled.insert(what);
            }
        }
        numbers.push(number.unwrap_or(KernelLayout::ABSENT));
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    // The table has one entry for each field, in order, so the sizes agree.
    let layout = KernelLayout::read_from_bytes(&bytes).unwrap_or(KernelLayout::UNRESOLVED);
    Ok(Resolved {
        layout,
        missing,
        disabled,
    })
}

fn structure(entry: &LayoutEntry) -> &'static str {
    match entry.source {
        Source::Member(name, _) | Source::Enumerator(name, _) | Source::Size(name) => name,
    }
}

fn describe(entry: &LayoutEntry) -> String {
    let place = match entry.source {
        Source::Member(structure, path) => format!("{structure}.{path}"),
        Source::Enumerator(enumeration, name) => format!("{enumeration} {name}"),
        Source::Size(structure) => structure.to_owned(),
    };
    format!("{place} (Linux {} has it)", entry.kernels)
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
        let bytes = std::fs::read(super::super::BTF_PATH).unwrap();
        let resolved = resolve(&bytes).unwrap();
        assert_eq!(resolved.missing, Vec::<String>::new());
        assert_ne!(resolved.layout.task_pid, KernelLayout::ABSENT);
        assert_eq!(resolved.layout.upid_size % 8, 0);
    }
}
