//! Files as an archive, the bytes of which depend on nothing but them and the time.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// Files by their paths, which begin with their first folder's name. All are root's.
#[derive(Clone, Default)]
pub(crate) struct Files(BTreeMap<String, Entry>);

#[derive(Clone)]
struct Entry {
    mode: u32,
    content: Content,
    /// By the kernel's numbers: what whoever runs the file is given of what it may be given at all.
    capabilities: Vec<u32>,
}

#[derive(Clone)]
enum Content {
    Folder,
    File(Vec<u8>),
}

const FOLDER_MODE: u32 = 0o755;

/// Where archives keep a file's capabilities.
const CAPABILITIES_KEY: &str = "SCHILY.xattr.security.capability";

/// `VFS_CAP_REVISION_2` with `VFS_CAP_FLAGS_EFFECTIVE`, of `linux/capability.h`.
const CAPABILITIES_MAGIC: u32 = 0x0200_0001;

impl Files {
    pub(crate) fn add(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.add_program(path, mode, bytes, &[]);
    }

    /// Adds a file with capabilities.
    pub(crate) fn add_program(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>, capabilities: &[u32]) {
        let entry = Entry {
            mode,
            content: Content::File(bytes.into()),
            capabilities: capabilities.to_vec(),
        };
        self.insert(path, entry);
    }

    pub(crate) fn add_folder(&mut self, path: &str, mode: u32) {
        self.insert(path, Entry::folder(mode));
    }

    /// Takes over others' files.
    pub(crate) fn extend(&mut self, others: Files) {
        self.0.extend(others.0);
    }

    /// How much all files hold.
    pub(crate) fn bytes(&self) -> usize {
        let sizes = self.0.values().map(|entry| match &entry.content {
            Content::Folder => 0,
            Content::File(bytes) => bytes.len(),
        });
        sizes.sum()
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        for (end, _) in path.match_indices('/') {
            let folder = self.0.entry(path[..end].to_owned());
            folder.or_insert(Entry::folder(FOLDER_MODE));
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// The files with what each path begins with.
    pub(crate) fn tar(&self, prefix: &str, time: u64) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry) in &self.0 {
            if !entry.capabilities.is_empty() {
                let attribute = attribute(&entry.capabilities);
                archive.append_pax_extensions([(CAPABILITIES_KEY, attribute.as_slice())])?;
            }
            let mut header = Header::new_ustar();
            header.set_mode(entry.mode);
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let (entry_type, bytes, end): (_, &[u8], _) = match &entry.content {
                Content::Folder => (EntryType::Directory, &[], "/"),
                Content::File(bytes) => (EntryType::Regular, bytes, ""),
            };
            header.set_entry_type(entry_type);
            header.set_size(bytes.len() as u64);
            archive
                .append_data(&mut header, format!("{prefix}{path}{end}"), bytes)
                .with_context(|| format!("could not archive `{path}`"))?;
        }
        Ok(archive.into_inner()?)
    }
}

impl Entry {
    fn folder(mode: u32) -> Self {
        Entry {
            mode,
            content: Content::Folder,
            capabilities: Vec::new(),
        }
    }
}

/// Capabilities as the kernel keeps them with a file: permitted and inheritable, the lower half and the upper one.
fn attribute(capabilities: &[u32]) -> Vec<u8> {
    let permitted = capabilities.iter().fold(0, |set, capability| set | 1_u64 << capability);
    let (lower, upper) = (permitted as u32, (permitted >> u32::BITS) as u32);
    let words = [CAPABILITIES_MAGIC, lower, 0, upper, 0];
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(bytes)?;
    Ok(compressed.finish()?)
}
