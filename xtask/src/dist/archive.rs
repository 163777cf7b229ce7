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
}

#[derive(Clone)]
enum Content {
    Folder,
    File(Vec<u8>),
}

const FOLDER_MODE: u32 = 0o755;

impl Files {
    pub(crate) fn add(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        let content = Content::File(bytes.into());
        self.insert(path, Entry { mode, content });
    }

    pub(crate) fn add_folder(&mut self, path: &str, mode: u32) {
        let content = Content::Folder;
        self.insert(path, Entry { mode, content });
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
            let folder = Entry {
                mode: FOLDER_MODE,
                content: Content::Folder,
            };
            self.0.entry(path[..end].to_owned()).or_insert(folder);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// The files with what each path begins with.
    pub(crate) fn tar(&self, prefix: &str, time: u64) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, Entry { mode, content }) in &self.0 {
            let mut header = Header::new_ustar();
            header.set_mode(*mode);
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let (entry_type, bytes, end): (_, &[u8], _) = match content {
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

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(bytes)?;
    Ok(compressed.finish()?)
}
