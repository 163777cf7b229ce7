//! The container image: one layer with the binary and the folders that it uses, and nothing that could be run beside
//! it. It is written as an archive for `docker load` and `ctr images import`, and for all processors together as an
//! OCI layout. Another one is for whoever must not be root.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::archive::{Files, gzip};
use super::digest::hexadecimal;
use super::release::Release;
use crate::architecture::Architecture;

const PROGRAM: &str = "usr/bin/tidewaiter";

const CONFIGURATION_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Where the sensor's rights come from.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rights {
    /// The user is root, and has the capabilities that the container has.
    OfRoot,
    /// The user is not, and has the capabilities of the program's file.
    OfFile,
}

/// Whom the image is run by that needs no root. The group is the one that an engine's socket belongs to.
const USER: &str = "65532:0";

/// What the file gives, by the kernel's numbers: `CAP_DAC_READ_SEARCH`, `CAP_SYS_PTRACE`, `CAP_PERFMON`, `CAP_BPF`. The
/// kernel starts it only in a container that may have all of them.
const CAPABILITIES: [u32; 4] = [2, 19, 38, 39];

/// Bytes and what they are called by.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

/// The image for one processor.
pub(crate) struct Image {
    architecture: &'static Architecture,
    configuration: Blob,
    layer: Blob,
    name: String,
    time: u64,
}

impl Rights {
    pub(crate) const ALL: [Self; 2] = [Self::OfRoot, Self::OfFile];

    /// What the names of images and files have in addition.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::OfRoot => "",
            Self::OfFile => "-nonroot",
        }
    }
}

impl Image {
    pub(crate) fn new(
        release: &Release,
        architecture: &'static Architecture,
        rights: Rights,
        program: &[u8],
        mut files: Files,
    ) -> Result<Self> {
        let (user, capabilities, state_mode): (_, &[u32], _) = match rights {
            Rights::OfRoot => ("0:0", &[], 0o700),
            Rights::OfFile => (USER, &CAPABILITIES, 0o770),
        };
        files.add_program(PROGRAM, 0o755, program, capabilities);
        // Where rules, what is remembered and the engines' sockets are mounted, on a root that may be read-only.
        files.add_folder("etc/tidewaiter/rules", 0o755);
        files.add_folder("var/lib/tidewaiter", state_mode);
        files.add_folder("run", 0o755);
        let unpacked = files.tar("", release.time)?;
        let labels = labels(release)?;
        let configuration = json!({
            "architecture": architecture.oci,
            "config": {
                "Cmd": ["run"],
                "Entrypoint": [format!("/{PROGRAM}")],
                "Env": ["PATH=/usr/bin"],
                "Labels": labels,
                "User": user,
                "WorkingDir": "/",
            },
            "created": release.timestamp()?,
            "history": [{"created": release.timestamp()?, "created_by": "cargo xtask dist"}],
            "os": "linux",
            "rootfs": {"diff_ids": [digest(&unpacked)], "type": "layers"},
        });
        Ok(Self {
            architecture,
            configuration: Blob::of_json(&configuration)?,
            layer: Blob::new(gzip(&unpacked)?),
            name: format!("tidewaiter:{}{}", release.version, rights.suffix()),
            time: release.time,
        })
    }

    /// What Docker, containerd and Podman load.
    pub(crate) fn docker_archive(&self) -> Result<Vec<u8>> {
        let manifest = json!([{
            "Config": self.configuration.path(),
            "Layers": [self.layer.path()],
            "RepoTags": [self.name],
        }]);
        archive(
            [&self.configuration, &self.layer],
            &[("manifest.json", &manifest)],
            self.time,
        )
    }

    fn manifest(&self) -> Result<Blob> {
        Blob::of_json(&json!({
            "config": self.configuration.descriptor(CONFIGURATION_TYPE),
            "layers": [self.layer.descriptor(LAYER_TYPE)],
            "mediaType": MANIFEST_TYPE,
            "schemaVersion": 2,
        }))
    }
}

/// The images of all processors as one OCI layout.
pub(crate) fn oci_archive(release: &Release, rights: Rights, images: &[Image]) -> Result<Vec<u8>> {
    let tag = format!("{}{}", release.version, rights.suffix());
    let manifests: Vec<Blob> = images.iter().map(Image::manifest).collect::<Result<_>>()?;
    let descriptors: Vec<Value> = images
        .iter()
        .zip(&manifests)
        .map(|(image, manifest)| {
            let mut descriptor = manifest.descriptor(MANIFEST_TYPE);
            descriptor["platform"] = json!({"architecture": image.architecture.oci, "os": "linux"});
            descriptor
        })
        .collect();
    let index = Blob::of_json(&json!({
        "annotations": labels(release)?,
        "manifests": descriptors,
        "mediaType": INDEX_TYPE,
        "schemaVersion": 2,
    }))?;
    let mut descriptor = index.descriptor(INDEX_TYPE);
    descriptor["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/tidewaiter:{tag}"),
        "org.opencontainers.image.ref.name": tag,
    });
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    let outer = json!({"manifests": [descriptor], "mediaType": INDEX_TYPE, "schemaVersion": 2});
    let blobs = images.iter().flat_map(|image| [&image.configuration, &image.layer]);
    archive(
        blobs.chain(&manifests).chain([&index]),
        &[("index.json", &outer), ("oci-layout", &layout)],
        release.time,
    )
}

fn labels(release: &Release) -> Result<Value> {
    let mut labels = json!({
        "org.opencontainers.image.created": release.timestamp()?,
        "org.opencontainers.image.description": release.description,
        "org.opencontainers.image.licenses": release.licence,
        "org.opencontainers.image.revision": release.revision,
        "org.opencontainers.image.title": "Tidewaiter",
        "org.opencontainers.image.version": release.version,
    });
    if let Some(source) = &release.source {
        labels["org.opencontainers.image.source"] = source.as_str().into();
    }
    Ok(labels)
}

fn archive<'a>(blobs: impl IntoIterator<Item = &'a Blob>, documents: &[(&str, &Value)], time: u64) -> Result<Vec<u8>> {
    let mut files = Files::default();
    for blob in blobs {
        files.add(&blob.path(), 0o644, blob.bytes.as_slice());
    }
    for (name, document) in documents {
        files.add(name, 0o644, serde_json::to_vec(document)?);
    }
    files.tar("", time).context("could not write the image's archive")
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { digest, bytes }
    }

    fn of_json(document: &Value) -> Result<Self> {
        Ok(Self::new(serde_json::to_vec(document)?))
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"digest": self.digest, "mediaType": media_type, "size": self.bytes.len()})
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn release() -> Release {
        Release {
            version: "1.2.3".to_owned(),
            description: "what it is".to_owned(),
            licence: "MIT".to_owned(),
            source: None,
            revision: "0123".to_owned(),
            time: 1_700_000_000,
        }
    }

    fn image(rights: Rights) -> Image {
        image_for(Architecture::ALL[0], rights)
    }

    fn image_for(architecture: &'static Architecture, rights: Rights) -> Image {
        let mut files = Files::default();
        files.add("usr/share/doc/licence", 0o644, "text");
        Image::new(&release(), architecture, rights, &[7; 100_000], files).unwrap()
    }

    /// Files by their names, with what the archive says of each.
    fn entries(archive: &[u8]) -> BTreeMap<String, (u32, u64, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let (header, path) = (entry.header(), entry.path().unwrap());
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            let about = (header.mode().unwrap(), header.mtime().unwrap(), bytes);
            (path.to_str().unwrap().to_owned(), about)
        });
        entries.collect()
    }

    fn json_in(archive: &[u8], name: &str) -> Value {
        serde_json::from_slice(&entries(archive)[name].2).unwrap()
    }

    /// The bytes that a descriptor stands for, which have its size and digest.
    fn described(archive: &[u8], descriptor: &Value) -> Vec<u8> {
        let named = descriptor["digest"].as_str().unwrap();
        let bytes = entries(archive)[&format!("blobs/{}", named.replace(':', "/"))]
            .2
            .clone();
        assert_eq!(descriptor["size"], bytes.len());
        assert_eq!(named, digest(&bytes));
        bytes
    }

    /// The only layer's files, as an archive.
    fn layer_of(archive: &[u8]) -> Vec<u8> {
        let manifest = json_in(archive, "manifest.json");
        let layer = &entries(archive)[manifest[0]["Layers"][0].as_str().unwrap()].2;
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&**layer)
            .read_to_end(&mut unpacked)
            .unwrap();
        unpacked
    }

    #[test]
    fn every_digest_of_the_layout_is_that_of_its_bytes() {
        let images = Architecture::ALL.map(|architecture| image_for(architecture, Rights::OfRoot));
        let archive = oci_archive(&release(), Rights::OfRoot, &images).unwrap();
        assert_eq!(json_in(&archive, "oci-layout")["imageLayoutVersion"], "1.0.0");
        let outer = json_in(&archive, "index.json");
        let index: Value = serde_json::from_slice(&described(&archive, &outer["manifests"][0])).unwrap();
        let manifests = index["manifests"].as_array().unwrap();
        assert_eq!(manifests.len(), images.len());
        for (manifest, architecture) in manifests.iter().zip(["amd64", "arm64"]) {
            assert_eq!(manifest["platform"]["architecture"], architecture);
            let manifest: Value = serde_json::from_slice(&described(&archive, manifest)).unwrap();
            let configuration: Value = serde_json::from_slice(&described(&archive, &manifest["config"])).unwrap();
            assert_eq!(configuration["architecture"], architecture);
            let labels = &configuration["config"]["Labels"];
            assert_eq!(labels["org.opencontainers.image.version"], "1.2.3");
            assert_eq!(labels["org.opencontainers.image.created"], "2023-11-14T22:13:20Z");
            let layer = described(&archive, &manifest["layers"][0]);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&*layer)
                .read_to_end(&mut unpacked)
                .unwrap();
            assert_eq!(configuration["rootfs"]["diff_ids"][0], digest(&unpacked));
        }
    }

    #[test]
    fn the_layer_holds_the_program_and_nothing_else_that_runs() {
        let archive = image(Rights::OfRoot).docker_archive().unwrap();
        assert_eq!(json_in(&archive, "manifest.json")[0]["RepoTags"][0], "tidewaiter:1.2.3");
        let files = entries(&layer_of(&archive));
        let programs = files
            .iter()
            .filter(|(_, (mode, _, bytes))| mode & 0o111 != 0 && !bytes.is_empty());
        assert_eq!(programs.map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [PROGRAM]);
        assert_eq!(files[PROGRAM].0, 0o755);
        assert!(files.values().all(|(_, time, _)| *time == 1_700_000_000));
    }

    #[test]
    fn the_same_image_has_the_same_bytes() {
        let archives = || {
            Rights::ALL.map(|rights| {
                (
                    image(rights).docker_archive().unwrap(),
                    oci_archive(&release(), rights, &[image(rights)]).unwrap(),
                )
            })
        };
        assert_eq!(archives(), archives());
    }

    #[test]
    fn of_two_images_one_is_for_a_user_who_is_not_root_and_gets_rights_of_the_file() {
        for (rights, name, user, attribute) in [
            (Rights::OfRoot, "tidewaiter:1.2.3", "0:0", None),
            (
                Rights::OfFile,
                "tidewaiter:1.2.3-nonroot",
                "65532:0",
                // As `setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep` writes it.
                Some(*b"\x01\0\0\x02\x04\0\x08\0\0\0\0\0\xc0\0\0\0\0\0\0\0"),
            ),
        ] {
            let archive = image(rights).docker_archive().unwrap();
            let manifest = &json_in(&archive, "manifest.json")[0];
            assert_eq!(manifest["RepoTags"][0], name);
            let configuration = json_in(&archive, manifest["Config"].as_str().unwrap());
            assert_eq!(configuration["config"]["User"], user);
            let layer = layer_of(&archive);
            let mut found = None;
            for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
                for extension in entry.unwrap().pax_extensions().unwrap().into_iter().flatten() {
                    let extension = extension.unwrap();
                    assert_eq!(extension.key().unwrap(), "SCHILY.xattr.security.capability");
                    found = Some(extension.value_bytes().to_vec());
                }
            }
            assert_eq!(found, attribute.map(Vec::from));
        }
    }
}
