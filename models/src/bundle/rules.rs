//! The rules that a manifest must satisfy. An error names the key that breaks the rule.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::LONGEST_FILE_NAME;
use super::second_look::PREFIX;
use super::{
    Adaptation, FORMAT, FORMAT_OF_TWO_LOOKS, GraphEntry, HeadEntry, MANIFEST, Manifest, Plan, Precision, Span,
    TensorEntry, WEIGHTS, names,
};
use crate::graph::{Level, Shape};
use crate::invalid::Invalid;
use crate::landmarks::LandmarkId;
use crate::network::SCORE;

/// An error for `key` if `good` is false.
pub(super) fn rule(good: bool, key: impl Into<String>, why: impl Into<String>) -> Result<(), Invalid> {
    if good { Ok(()) } else { Err(Invalid::new(key, why.into())) }
}

impl Manifest {
    /// Checks all rules.
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.validate_limits()?;
        self.validate_files()?;
        self.landmark_set.validate().map_err(|invalid| invalid.within("landmark_set"))?;
        let count = self.landmark_set.len();
        let format = if self.second_look.is_some() { FORMAT_OF_TWO_LOOKS } else { FORMAT };
        rule(
            self.format == format,
            "format",
            format!("must be {format}, because it looks {} at a film", times(format)),
        )?;
        if let Some(look) = &self.second_look {
            look.validate(count).map_err(|invalid| invalid.within("second_look"))?;
        }
        let in_order = self.heads.iter().map(|head| head.landmark).eq(1..=count);
        rule(in_order, "heads", format!("there must be one for each landmark, 1 to {count}, in order"))?;
        for file in self.used_files() {
            rule(self.files.contains_key(file), "files", format!("`{file}` must be listed"))?;
        }
        // Graphs stay where a plan was taken out.
        if let Some(stray) = self.unused_files().find(|file| !file.ends_with(".onnx")) {
            let why =
                "is no graph of the bundle and not its weights; remove it, or get the bundle from its maker again";
            return Err(Invalid::new(format!("files: `{stray}`"), why));
        }
        let grid = [1, 1, self.input.size, self.input.size];
        let film = matches!(self.trunk.inputs.as_slice(), [only] if only.shape == grid);
        rule(film, "trunk.inputs", "must be one film, [1, 1, size, size] of `input.size`")?;
        let trunk = by_name(&self.trunk.outputs);
        self.heads.iter().try_for_each(|head| validate_head(head, &trunk, grid))?;
        self.validate_vectors()?;
        if let Some(plan) = &self.plan {
            self.validate_plan(plan)?;
        }
        if let Some(prior) = &self.shape_prior {
            prior.validate(count).map_err(|invalid| invalid.within("decoding.shape-prior"))?;
        }
        let of_before = self.adapted.as_ref().and_then(|adapted| adapted.accuracy.as_ref());
        for accuracy in self.accuracy.iter().chain(of_before) {
            accuracy.validate().map_err(|invalid| invalid.within("accuracy"))?;
        }
        let of_before = self.adapted.as_ref().and_then(|adapted| adapted.calibration.as_ref());
        for calibration in self.calibration.iter().chain(of_before) {
            calibration.validate(count).map_err(|invalid| invalid.within("calibration"))?;
        }
        let of_before = self.adapted.as_ref().and_then(|adapted| adapted.familiarity.as_ref());
        for familiarity in self.familiarity.iter().chain(of_before) {
            familiarity.validate(count).map_err(|invalid| invalid.within("familiarity"))?;
        }
        self.adapted.as_ref().map_or(Ok(()), |adapted| self.validate_adaptation(adapted))
    }

    fn used_files(&self) -> BTreeSet<&str> {
        self.graphs().map(|graph| graph.file.as_str()).chain([WEIGHTS]).collect()
    }

    /// The listed files that no graph of the bundle is in, and that are not its weights.
    pub(super) fn unused_files(&self) -> impl Iterator<Item = &str> {
        let used = self.used_files();
        let is_of_second_look = |file: &str| self.second_look.is_some() && file.starts_with(PREFIX);
        self.files.keys().map(String::as_str).filter(move |file| !used.contains(file) && !is_of_second_look(file))
    }

    fn validate_files(&self) -> Result<(), Invalid> {
        let mut seen = BTreeSet::new();
        for (name, file) in &self.files {
            let key = || format!("files: `{name}`");
            let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            let is_digest = file.sha256.len() == 64 && file.sha256.chars().all(hex);
            rule(is_digest, key(), "sha256 must be 64 lower-case hexadecimal digits")?;
            validate_name(name).map_err(|why| Invalid::new(key(), why))?;
            rule(seen.insert(name.to_ascii_lowercase()), key(), "another file's name differs in case only")?;
        }
        Ok(())
    }

    fn validate_plan<'a>(&self, plan: &'a Plan) -> Result<(), Invalid> {
        plan.tiling.validate().map_err(|invalid| invalid.within("plan.tiling"))?;
        let size = plan.tiling.size;
        rule(size == self.input.size, "plan.tiling.size", "must be `input.size`")?;
        let bounds = plan.coarse.outputs.iter().filter(|output| output.shape == [1, 1, size, size]).count();
        rule(bounds == 1, "plan.coarse", "must have one output [1, 1, size, size] of `input.size`, the bound")?;
        let side = plan.tiling.levels[0].cells;
        let outputs = plan.window.outputs.as_slice();
        let score = matches!(outputs, [only] if only.name == SCORE && only.shape == [1, 1, side, side]);
        rule(
            score,
            "plan.window",
            format!("must have the only output `{SCORE}`, [1, 1, {side}, {side}] as the tiling states"),
        )?;
        rule(plan.specific.len() == self.heads.len(), "plan.own", "must have an entry for each landmark")?;
        // What the tiling computes is the same for all landmarks.
        let given = |graph: &'a GraphEntry| graph.inputs.iter().filter(|input| !plan.is_computed(input)).collect();
        let needs = [(&plan.coarse, false, given(&plan.coarse)), (&plan.window, true, given(&plan.window))];
        let made = [by_name(&self.trunk.outputs), by_name(&plan.coarse.outputs)];
        let mut landmarks = LandmarkId::up_to(plan.specific.len()).zip(&plan.specific);
        landmarks.try_for_each(|(landmark, specific)| self.validate_specific(plan, landmark, specific, &needs, &made))
    }

    /// Checks that every input that the plan's graphs need is available for a landmark, from the landmark's own numbers or from what
    /// the trunk and the coarse graph have made.
    fn validate_specific(
        &self,
        plan: &Plan,
        landmark: LandmarkId,
        specific: &BTreeMap<String, Span>,
        needs: &[(&GraphEntry, bool, Vec<&TensorEntry>); 2],
        [trunk, coarse]: &[BTreeMap<&str, &TensorEntry>; 2],
    ) -> Result<(), Invalid> {
        let end = self.weights_end();
        let width = |name: &str| plan.precision(name, self.weights).bytes();
        if let Some((name, _)) = specific.iter().find(|(name, span)| !span.is_in(end, width(name))) {
            return Err(Invalid::new(format!("plan.own: landmark {landmark}: `{name}`"), Span::rule(end)));
        }
        let is_specific = |input: &TensorEntry| {
            let bytes = input.shape.iter().try_fold(width(&input.name), |bytes, side| bytes.checked_mul(*side));
            specific.get(&input.name).is_some_and(|span| Some(span.length) == bytes)
        };
        for (graph, is_window, inputs) in needs {
            let stray = inputs.iter().find(|input| {
                let outputs =
                    names::feeding(&input.name, landmark).filter_map(|name| trunk.get(name.as_str()).copied());
                let coarse = coarse.get(input.name.as_str()).copied().filter(|_| *is_window);
                let made = outputs.chain(coarse).any(|output| plan.fits(output, input, *is_window));
                !is_specific(input) && !made
            });
            if let Some(stray) = stray {
                let why = format!("no graph produces its input `{}` for landmark {landmark}", stray.name);
                return Err(Invalid::new(format!("plan: `{}`", graph.file), why));
            }
        }
        Ok(())
    }

    fn validate_vectors(&self) -> Result<(), Invalid> {
        let end = self.weights_end();
        let landmarks = LandmarkId::up_to(self.heads.len());
        let expected = landmarks.flat_map(|landmark| Level::COARSE_TO_FINE.map(|level| names::vector(landmark, level)));
        for name in expected {
            rule(self.template_vectors.contains_key(&name), format!("template_vectors: `{name}`"), "is missing")?;
        }
        for (name, span) in &self.template_vectors {
            let good = span.is_in(end, Precision::F32.bytes());
            rule(good, format!("template_vectors: `{name}`"), Span::rule(end))?;
        }
        Ok(())
    }

    fn validate_adaptation(&self, adapted: &Adaptation) -> Result<(), Invalid> {
        let end = self.weights_end();
        for (name, span) in &self.template_vectors {
            let before = adapted.original.get(name).filter(|before| before.length == span.length);
            let good = before.is_some_and(|before| before.is_in(end, Precision::F32.bytes()));
            rule(good, format!("adapted.original: `{name}`"), Span::rule(end))?;
        }
        let kept = adapted.original.values().all(|span| adapted.weights_bytes <= span.offset);
        rule(kept, "adapted.weights_bytes", "must end before the original vectors")
    }

    /// The size of the weights in bytes.
    fn weights_end(&self) -> u64 {
        self.files.get(WEIGHTS).map_or(0, |file| file.bytes)
    }
}

fn times(format: u32) -> &'static str {
    if format == FORMAT { "once" } else { "twice" }
}

fn by_name(tensors: &[TensorEntry]) -> BTreeMap<&str, &TensorEntry> {
    tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect()
}

fn validate_head(head: &HeadEntry, trunk: &BTreeMap<&str, &TensorEntry>, grid: Shape) -> Result<(), Invalid> {
    let key = format!("heads: `{}`", head.graph.file);
    if !head.graph.outputs.iter().any(|output| output.name == SCORE && output.shape == grid) {
        return Err(Invalid::new(key, format!("must have the output `{SCORE}`, [1, 1, size, size] of `input.size`")));
    }
    match head.graph.inputs.iter().find(|input| trunk.get(input.name.as_str()) != Some(input)) {
        Some(stray) => {
            let why = format!("its input `{}` must be an output of the trunk, of the same shape", stray.name);
            Err(Invalid::new(key, why))
        }
        None => Ok(()),
    }
}

/// Refuses a file's name that could have a special meaning in a path.
fn validate_name(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > LONGEST_FILE_NAME || !name.chars().all(plain) {
        Err("a file's name must be 1 to 132 letters, digits, `.`, `-` and `_`, with no folders")
    } else if name.starts_with('.') {
        Err("a file's name must not start with a dot")
    } else if name.eq_ignore_ascii_case(MANIFEST) {
        Err("the manifest can't list itself")
    } else {
        Ok(())
    }
}
