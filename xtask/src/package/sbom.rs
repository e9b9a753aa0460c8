//! The list of parts (SBOM) as CycloneDX 1.5 JSON: <https://cyclonedx.org/docs/1.5/json/>.
//!
//! It contains no date and no random number, so the same sources give the same file.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::parts::Part;

/// The product itself.
const PRODUCT: &str = "onemark";

/// ONNX Runtime, which is shipped as compiled by its publisher.
pub struct Library {
    pub version: String,
    /// SHA-256 of the library's file.
    pub sha256: String,
}

/// The list for a product that consists of the crates in `parts` and of ONNX Runtime.
pub fn sbom(version: &str, parts: &BTreeMap<String, Part>, onnxruntime: &Library) -> Value {
    let library = format!("pkg:pypi/onnxruntime@{}", onnxruntime.version);
    let mut components: Vec<Value> = parts.values().map(component).collect();
    components.push(json!({
        "type": "library", "bom-ref": library, "name": "onnxruntime", "version": onnxruntime.version, "purl": library,
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": onnxruntime.sha256}],
    }));
    let shipped = parts.values().filter(|part| part.shipped).map(reference).chain([library.clone()]);
    let mut dependencies = vec![json!({"ref": PRODUCT, "dependsOn": shipped.collect::<Vec<_>>()})];
    dependencies.extend(parts.values().map(|part| {
        let needs = part.needs.iter().filter_map(|label| parts.get(label));
        json!({"ref": reference(part), "dependsOn": needs.map(reference).collect::<Vec<_>>()})
    }));
    dependencies.push(json!({"ref": library, "dependsOn": []}));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "cargo xtask package", "version": version}]},
            "component": {"type": "application", "bom-ref": PRODUCT, "name": PRODUCT, "version": version},
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(part: &Part) -> Value {
    let mut component = json!({
        "type": "library", "bom-ref": reference(part), "name": part.name, "version": part.version, "purl": reference(part),
    });
    if let Some(licence) = &part.licence {
        component["licenses"] = json!([{"expression": licence}]);
    }
    if let Some(checksum) = &part.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// A crate's package URL; in the list it is the crate's name too.
fn reference(part: &Part) -> String {
    format!("pkg:cargo/{}@{}", part.name, part.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    fn example() -> Value {
        let part = |name: &str, version: &str, needs: &[&str]| Part {
            name: name.into(),
            version: version.into(),
            licence: Some("MIT OR Apache-2.0".into()),
            shipped: name == "onemark-c",
            checksum: (name != "onemark-c").then(|| "0f".repeat(32)),
            needs: needs.iter().map(|&label| label.to_owned()).collect(),
            ..Part::default()
        };
        let parts = BTreeMap::from([
            ("onemark-c@0.1.0".to_owned(), part("onemark-c", "0.1.0", &["half@2.7.1+1"])),
            ("half@2.7.1+1".to_owned(), part("half", "2.7.1+1", &[])),
        ]);
        sbom("0.1.0", &parts, &Library { version: "1.31.0".into(), sha256: "0f".repeat(32) })
    }

    /// The rules of the format's JSON schema that concern the keys used here.
    #[test]
    fn the_list_keeps_the_rules_of_cyclonedx() {
        let list = example();
        assert_eq!(
            (&list["bomFormat"], &list["specVersion"], &list["version"]),
            (&json!("CycloneDX"), &json!("1.5"), &json!(1))
        );
        let all = list["components"].as_array().unwrap().iter().chain([&list["metadata"]["component"]]);
        let mut references = BTreeSet::new();
        for component in all {
            for key in ["type", "name", "version", "bom-ref"] {
                assert!(component[key].as_str().is_some_and(|text| !text.is_empty()), "{component}: {key}");
            }
            assert!(["application", "library"].contains(&component["type"].as_str().unwrap()));
            assert!(references.insert(component["bom-ref"].as_str().unwrap()), "{component}: twice");
            for hash in component["hashes"].as_array().into_iter().flatten() {
                let content = hash["content"].as_str().unwrap();
                assert!(
                    hash["alg"] == "SHA-256" && content.len() == 64 && content.chars().all(|c| c.is_ascii_hexdigit())
                );
            }
            // Either one expression, or licences by their ids.
            for licence in component["licenses"].as_array().into_iter().flatten() {
                assert!(licence["expression"].is_string() != licence["license"]["id"].is_string(), "{licence}");
            }
        }
        let mut described = BTreeSet::new();
        for dependency in list["dependencies"].as_array().unwrap() {
            let reference = dependency["ref"].as_str().unwrap();
            assert!(described.insert(reference) && references.contains(reference), "{reference}");
            for needed in dependency["dependsOn"].as_array().unwrap() {
                assert!(references.contains(needed.as_str().unwrap()), "{needed}");
            }
        }
        assert_eq!(described, references);
    }

    #[test]
    fn a_crate_is_named_by_its_package_url() {
        let list = example();
        assert_eq!(list["components"][0]["purl"], "pkg:cargo/half@2.7.1%2B1");
        assert_eq!(
            list["dependencies"][0]["dependsOn"],
            json!(["pkg:cargo/onemark-c@0.1.0", "pkg:pypi/onnxruntime@1.31.0"])
        );
    }
}
