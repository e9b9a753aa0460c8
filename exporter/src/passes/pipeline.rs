//! Selects the passes, runs them in order and checks the contract of each.

use onemark_models::spelling;

use super::{Context, Effect, PASSES, Pass, PassError, Property};
use crate::emit::STAGES;
use crate::module::Module;
use crate::{ExportError, Options};

/// The result of the passes.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The rewritten network.
    pub module: Module,
    /// The reference for the self-check, if it is not the trained network: the module after the last pass that changes results.
    pub reference: Option<Module>,
}

/// The passes that these options select.
///
/// # Errors
/// A pass that must be left out does not exist, or is required because it establishes a property.
pub fn chosen(options: &Options) -> Result<Vec<Pass>, ExportError> {
    for name in &options.without {
        if let Some((stage, property)) = STAGES.into_iter().find(|(stage, _)| stage == name) {
            return Err(ExportError::NeededPass { pass: stage, property: property.to_owned() });
        }
        let Some(pass) = PASSES.iter().find(|pass| pass.name == name) else {
            let known = || PASSES.iter().map(|pass| pass.name);
            return Err(ExportError::UnknownPass {
                name: name.clone(),
                nearest: spelling::nearest(name, known()),
                known: known().collect::<Vec<_>>().join(", "),
            });
        };
        if let Some(property) = pass.ensures.first() {
            return Err(ExportError::NeededPass { pass: pass.name, property: property.to_string() });
        }
    }
    let wanted = |pass: &Pass| (pass.applies)(options) && !options.without.iter().any(|name| name == pass.name);
    Ok(PASSES.into_iter().filter(wanted).collect())
}

/// The largest difference that the passes may cause.
pub fn tolerance(passes: &[Pass]) -> f32 {
    passes.iter().map(|pass| pass.effect.tolerance()).fold(0.0, f32::max)
}

/// Runs passes. `observe` is called with the module before the first pass (as `start`) and after each pass.
///
/// # Errors
/// The first failure, with the passes that ran before it.
pub fn run(
    passes: &[Pass],
    mut module: Module,
    context: &Context<'_>,
    mut observe: impl FnMut(&'static str, &Module),
) -> Result<Rewritten, ExportError> {
    observe("start", &module);
    let mut reference = None;
    let mut held: Vec<Property> = Vec::new();
    for (done, pass) in passes.iter().enumerate() {
        module = checked(pass, module, context, &mut held).map_err(|source| ExportError::Pass {
            pass: pass.name,
            before: passes.iter().take(done).map(|pass| pass.name).collect(),
            source: Box::new(source),
        })?;
        if let Effect::Changes { .. } = pass.effect {
            reference = Some(module.clone());
        }
        observe(pass.name, &module);
    }
    Ok(Rewritten { module, reference })
}

/// Runs a pass and checks the properties that it requires and establishes, and those that `held` before.
pub(super) fn checked(
    pass: &Pass,
    module: Module,
    context: &Context<'_>,
    held: &mut Vec<Property>,
) -> Result<Module, PassError> {
    let check = |properties: &[Property], when, module: &Module| {
        let broken = properties.iter().find_map(|property| Some((*property, property.broken_by(module)?)));
        broken.map_or(Ok(()), |(property, why)| Err(PassError::Property { property, when, why }))
    };
    check(pass.requires, "before it", &module)?;
    let module = (pass.run)(module, context)?;
    held.extend(pass.ensures);
    check(held, "after it", &module)?;
    numbered(&module)?;
    Ok(module)
}

/// Checks that every parameter has numbers, and that their shape is right.
fn numbered(module: &Module) -> Result<(), PassError> {
    for (param, shape) in module.graphs().flat_map(|graph| graph.params()) {
        for param in param.each(module.heads.len()) {
            let found = module.tensors.get(&param).map(|tensor| tensor.shape().to_vec());
            match found {
                None => return Err(PassError::NoTensor { param }),
                Some(found) if found != *shape => {
                    return Err(PassError::Shape { param, expected: shape.clone(), found });
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{graph_with_batch_norm, random_module};
    use super::*;

    #[test]
    fn a_pass_that_breaks_what_held_is_named() {
        let breaks = Pass {
            name: "breaks",
            requires: &[],
            ensures: &[],
            effect: Effect::Exact,
            applies: |_| true,
            run: |module, _| Ok(random_module(vec![graph_with_batch_norm(); module.heads.len()])),
        };
        let module = random_module(vec![graph_with_batch_norm()]);
        let error = run(&[PASSES[0], breaks], module, &Context::default(), |_, _| {}).unwrap_err();
        let error = onemark_runtime::Chain(&error).to_string();
        assert!(
            error.starts_with("pass breaks failed (after fold-batch-norm): \"no graph has a batch normalisation\""),
            "{error}"
        );
    }
}
