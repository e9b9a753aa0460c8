//! `cargo xtask demo`: the whole pipeline on phantom films, with the commands a user would type.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{setup, shell};

const OUT: &str = "demo-out";

const MAKE_FILMS: &str = "onemark-train phantom --out demo-out/films --count 24 --seed 1";
const TRAIN: &str = "onemark-train run --recipe phantom --data demo-out/films --out demo-out/run";
const EXPORT: &str = "onemark-export demo-out/run/checkpoint.safetensors --out demo-out/phantom.onemark";
const EVALUATE: &str = "onemark evaluate demo-out/phantom.onemark --data demo-out/films --split test1";

/// Two backends round differently, far below a pixel; an argmax in another cell is several pixels away.
const SAME_PX: f64 = 0.1;

/// Runs the pipeline into an empty `demo-out/`.
pub fn run() -> Result<()> {
    setup::run(&setup::Options::default())?;
    shell::build_binaries()?;

    let started = Instant::now();
    if Path::new(OUT).exists() {
        fs::remove_dir_all(OUT).with_context(|| format!("cannot empty {OUT}"))?;
    }
    step("draw phantom films: 24 synthetic heads with exact landmarks", MAKE_FILMS)?;
    step("train from one annotated film", TRAIN)?;
    step("compile the checkpoint into a bundle", EXPORT)?;
    step(
        "find the landmarks of films it has not seen, with ONNX Runtime",
        &format!("{EVALUATE} --backend onnxruntime --overlays demo-out/overlays --report demo-out/report.json"),
    )?;
    step("the same with tract", &format!("{EVALUATE} --backend tract --report demo-out/report-tract.json"))?;
    compare("demo-out/report.json", "demo-out/report-tract.json")?;

    println!("\nDone in {} s. Look at", started.elapsed().as_secs());
    println!("  demo-out/overlays/          annotated landmarks in green, found ones in red");
    println!("  demo-out/report.json        all numbers of the table");
    println!("  demo-out/phantom.onemark    the bundle, which a clinic would install");
    println!("Next, with your own films, one of them annotated:");
    println!("  cargo xtask setup --weights");
    println!("  onemark-train run --recipe c-adapter-laptop --data FILMS --template ID --out runs/first");
    println!("  onemark-export runs/first/checkpoint.safetensors --out first.onemark");
    println!("  onemark detect FILM.png --bundle first.onemark --overlay found.png");
    println!("The programs are in {}", shell::bin_dir()?.display());
    Ok(())
}

/// Prints a title and the command, then runs it.
fn step(what: &str, line: &str) -> Result<()> {
    println!("\n# {what}\n$ {line}");
    let mut words = line.split(' ');
    let program = shell::bin_dir()?.join(words.next().unwrap_or_default());
    shell::run(Command::new(program).args(words))
}

/// Fails unless both reports have every landmark of every film at the same position.
fn compare(one: &str, other: &str) -> Result<()> {
    let (here, there) = (positions(one)?, positions(other)?);
    if !here.keys().eq(there.keys()) {
        bail!("{one} and {other} are not about the same films and landmarks");
    }
    let distances = here.iter().zip(there.values());
    let distances = distances.map(|((landmark, [x, y]), [u, v])| ((x - u).hypot(y - v), landmark));
    let farthest = distances.max_by(|(one, _), (other, _)| one.total_cmp(other));
    let (distance, (film, landmark)) = farthest.with_context(|| format!("{one} has no landmarks"))?;
    if distance > SAME_PX {
        bail!("the two backends disagree by {distance:.2} px on {landmark} of film {film}: see {one} and {other}");
    }
    println!("\nONNX Runtime and tract agree on all {} landmarks within {distance:.4} px", here.len());
    Ok(())
}

/// The position of each landmark in a report of `onemark evaluate`, by film and name, in film px.
fn positions(path: &str) -> Result<BTreeMap<(String, String), [f64; 2]>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))?;
    let mut positions = BTreeMap::new();
    for film in report["films"].as_array().into_iter().flatten() {
        for landmark in film["detections"]["landmarks"].as_array().into_iter().flatten() {
            let text = |value: &Value| Some(value.as_str()?.to_owned());
            let [x, y] = ["x", "y"].map(|axis| landmark["position"][axis].as_f64());
            let entry = || Some(((text(&film["id"])?, text(&landmark["name"])?), [x?, y?]));
            let (key, position) = entry().with_context(|| format!("{path} is not a report: {landmark}"))?;
            positions.insert(key, position);
        }
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reports_agree_only_when_every_landmark_is_in_the_same_place() {
        let folder = tempfile::tempdir().unwrap();
        let report = |name: &str, film: &str, x: f64| {
            let path = folder.path().join(name);
            let landmark = format!(r#"{{"name": "sella", "position": {{"x": {x}, "y": 2.0}}}}"#);
            let film = format!(r#"{{"id": "{film}", "detections": {{"landmarks": [{landmark}]}}}}"#);
            fs::write(&path, format!(r#"{{"films": [{film}]}}"#)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let here = report("here", "17", 1.0);
        compare(&here, &report("near", "17", 1.0 + SAME_PX / 2.0)).unwrap();
        for other in [report("far", "17", 1.0 + SAME_PX * 2.0), report("other-film", "18", 1.0)] {
            compare(&here, &other).unwrap_err();
        }
    }
}
