//! The table of crates in CONTRIBUTING.md agrees with cargo: folders, dependencies, features, and the number of crates in each
//! build.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Names = BTreeSet<String>;

/// A row of the table.
struct Row {
    krate: String,
    folder: String,
    /// `None` if the cell says "as needed".
    depends_on: Option<Names>,
    features: Names,
    default: Names,
    /// Each with the options of `cargo tree` that select the build.
    limits: Vec<(usize, Vec<String>)>,
}

/// The rows below the header that begins with `| crate | folder |`.
fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| crate | folder |")).skip(2);
    let rows: Vec<Row> = lines.take_while(|line| line.starts_with('|')).map(row).collect();
    assert!(!rows.is_empty(), "CONTRIBUTING.md has no table that begins with `| crate | folder |`");
    rows
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [krate, folder, depends_on, features, limits] = cells[..] else { panic!("{line}: five cells are due") };
    Row {
        krate: krate.to_owned(),
        folder: folder.to_owned(),
        depends_on: (depends_on != "as needed")
            .then(|| words(depends_on).map(|name| format!("onemark-{name}")).collect()),
        features: words(features).map(|name| name.trim_matches('*').to_owned()).collect(),
        default: words(features)
            .filter_map(|name| Some(name.strip_prefix("**")?.trim_matches('*').to_owned()))
            .collect(),
        limits: limits.split('·').map(str::trim).filter(|limit| !limit.is_empty()).map(limit).collect(),
    }
}

/// `170`: the crate as it is; `110: onnxruntime`: with that feature only; `85: none`: without features; `200: all`.
fn limit(text: &str) -> (usize, Vec<String>) {
    let (number, features) = text.split_once(':').unwrap_or((text, ""));
    let options = match features.trim() {
        "" => vec![],
        "none" => vec!["--no-default-features".to_owned()],
        "all" => vec!["--all-features".to_owned()],
        features => vec!["--no-default-features".to_owned(), "--features".to_owned(), features.to_owned()],
    };
    (number.parse().unwrap_or_else(|_| panic!("`{text}` is not a limit")), options)
}

/// The entries of a cell.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The output of `cargo`, without network access, or its error.
fn cargo(arguments: &[&str], more: &[String]) -> Result<String, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output =
        command.current_dir(root()).args(arguments).args(["--locked", "--offline"]).args(more).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The workspace's packages by name.
fn packages() -> BTreeMap<String, Value> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps"], &[]).unwrap();
    let mut metadata: Value = serde_json::from_str(&metadata).unwrap();
    let Value::Array(packages) = metadata["packages"].take() else { panic!("cargo metadata lists no packages") };
    packages.into_iter().map(|package| (text(&package["name"]), package)).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The dependencies of a package, without those of its tests.
fn dependencies(package: &Value) -> Names {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies.filter(|one| one["kind"].as_str() != Some("dev")).map(|one| text(&one["name"])).collect()
}

/// Features that are on by default, with those that they imply.
fn default(features: &serde_json::Map<String, Value>) -> Names {
    let mut found = Names::new();
    let mut open = vec!["default".to_owned()];
    while let Some(feature) = open.pop() {
        for implied in features.get(&feature).and_then(Value::as_array).into_iter().flatten().map(text) {
            if features.contains_key(&implied) && found.insert(implied.clone()) {
                open.push(implied);
            }
        }
    }
    found
}

#[test]
fn the_table_of_crates_says_what_cargo_says() {
    let packages = packages();
    let rows = table();
    let mut wrong = String::new();
    let mut compare = |what: &str, table: &Names, cargo: &Names| {
        if table != cargo {
            wrong += &format!("\n{what}: {table:?} in CONTRIBUTING.md, {cargo:?} for cargo");
        }
    };
    compare("crates", &rows.iter().map(|row| row.krate.clone()).collect(), &packages.keys().cloned().collect());
    for (row, package) in rows.iter().filter_map(|row| Some((row, packages.get(&row.krate)?))) {
        let krate = &row.krate;
        let manifest = text(&package["manifest_path"]);
        let folder = Path::new(&manifest).parent().unwrap().strip_prefix(root().canonicalize().unwrap()).unwrap();
        let folder = folder.to_str().unwrap().replace('\\', "/");
        compare(&format!("folder of {krate}"), &[row.folder.clone()].into(), &[folder].into());
        let own: Names = dependencies(package).into_iter().filter(|name| packages.contains_key(name)).collect();
        compare(&format!("what {krate} depends on"), row.depends_on.as_ref().unwrap_or(&own), &own);
        let features = package["features"].as_object().unwrap();
        let names: Names = features.keys().filter(|name| *name != "default").cloned().collect();
        compare(&format!("features of {krate}"), &row.features, &names);
        compare(&format!("default features of {krate}"), &row.default, &default(features));
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_build_takes_more_crates_than_the_table_allows() {
    if !cfg!(target_os = "linux") {
        return eprintln!("skipped: the limits apply to builds on Linux");
    }
    let mut above = String::new();
    for Row { krate, limits, .. } in table() {
        for (limit, options) in limits {
            let build = format!("{krate} {}", options.join(" "));
            match count(&krate, &options) {
                Ok(count) if count <= limit => eprintln!("{build}: {count} crates, at most {limit}"),
                Ok(count) => above += &format!("\n{build}: {count} crates, but CONTRIBUTING.md allows {limit}"),
                Err(why) => above += &format!("\n{build}: {why}"),
            }
        }
    }
    assert!(above.is_empty(), "{above}");
}

/// Counts the crates of a build, as `cargo tree --locked -p P … -e normal,build --prefix none --no-dedupe | sort -u | wc -l` does.
fn count(krate: &str, options: &[String]) -> Result<usize, String> {
    let tree = cargo(&["tree", "-p", krate, "-e", "normal,build", "--prefix", "none", "--no-dedupe"], options)?;
    Ok(tree.lines().filter(|line| !line.is_empty()).collect::<BTreeSet<_>>().len())
}

#[test]
fn only_programs_read_a_command_line_or_take_any_error() {
    for (krate, package) in packages() {
        let targets = package["targets"].as_array().unwrap();
        let is_program =
            targets.iter().any(|target| target["kind"].as_array().unwrap().iter().any(|kind| kind == "bin"));
        let both = dependencies(&package);
        for crate_of_programs in ["clap", "anyhow"] {
            let allowed = is_program || !both.contains(crate_of_programs);
            assert!(allowed, "{krate} has no program, but depends on {crate_of_programs}");
        }
    }
}

#[test]
fn what_is_published_says_what_it_is() {
    for (krate, package) in packages() {
        // An empty list: `publish = false`.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        for key in ["description", "readme", "documentation", "repository", "license", "rust_version"] {
            assert!(package[key].is_string(), "{krate}: Cargo.toml has no `{key}`");
        }
        for key in ["keywords", "categories"] {
            assert!(package[key].as_array().is_some_and(|list| !list.is_empty()), "{krate}: Cargo.toml has no `{key}`");
        }
        let docs = &package["metadata"]["docs"]["rs"];
        assert!(
            docs["all-features"] == true,
            "{krate}: Cargo.toml has no `[package.metadata.docs.rs]` with `all-features`"
        );
    }
}
