//! The bill of materials, in CycloneDX's form.

use anyhow::Result;
use serde_json::{Value, json};

use super::dependencies::Dependency;
use super::release::Release;
use super::toolchain::Library;

/// What all that is linked is called, as JSON.
pub(crate) fn build(release: &Release, libraries: &[Library], dependencies: &[Dependency]) -> Result<Vec<u8>> {
    let own = format!("pkg:generic/tidewaiter@{}", release.version);
    let crates = dependencies.iter().map(component);
    let toolchain = libraries.iter().map(|library| {
        json!({
            "bom-ref": reference_of(library),
            "licenses": [{"expression": library.licence}],
            "name": library.name,
            "type": "library",
            "version": library.version,
        })
    });
    let needs = |dependency: &Dependency| {
        // What is no crate of a registry is not listed.
        let listed = dependencies
            .iter()
            .filter(|other| dependency.needs.contains(&other.id()));
        json!({"dependsOn": listed.map(reference).collect::<Vec<_>>(), "ref": reference(dependency)})
    };
    let all: Vec<String> = dependencies
        .iter()
        .map(reference)
        .chain(libraries.iter().map(reference_of))
        .collect();
    let root = json!({"dependsOn": all, "ref": own});
    let graph: Vec<Value> = [root].into_iter().chain(dependencies.iter().map(needs)).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "components": crates.chain(toolchain).collect::<Vec<Value>>(),
        "dependencies": graph,
        "metadata": {
            "component": {
                "bom-ref": own,
                "description": release.description,
                "licenses": [{"expression": release.licence}],
                "name": "tidewaiter",
                "type": "application",
                "version": release.version,
            },
            "timestamp": release.timestamp()?,
        },
        "specVersion": "1.5",
        "version": 1,
    });
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn component(dependency: &Dependency) -> Value {
    let mut component = json!({
        "bom-ref": reference(dependency),
        "licenses": [{"expression": dependency.licence}],
        "name": dependency.name,
        "purl": reference(dependency),
        "type": "library",
        "version": dependency.version,
    });
    if let Some(checksum) = &dependency.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The package's address, which is its name in the document too.
fn reference(dependency: &Dependency) -> String {
    format!("pkg:cargo/{}", dependency.id())
}

fn reference_of(library: &Library) -> String {
    format!("{}@{}", library.name, library.version)
}
