//! The rule for names in format 1. A plan's graphs serve every landmark in turn, so their names contain no landmark numbers. Their
//! input `adapter.rfb4.fuse`, for example, is the trunk's output `adapter.07.rfb4.fuse` when they run for landmark 7. Other names are
//! the same in all graphs.

use crate::graph::{Level, Of, Owner, ParamId};
use crate::landmarks::LandmarkId;

/// The names of the trunk's outputs that a plan's input takes, if the trunk has them, when the plan runs for `landmark`.
///
/// ```
/// use onemark_models::bundle::names::feeding;
/// use onemark_models::landmarks::LandmarkId;
///
/// let landmark = LandmarkId::new(7).ok_or("numbers start at 1")?;
/// let names: Vec<String> = feeding("adapter.rfb4.fuse", landmark).collect();
/// assert_eq!(names, ["adapter.rfb4.fuse", "adapter.07.rfb4.fuse"]);
/// # Ok::<(), &str>(())
/// ```
pub fn feeding(input: &str, landmark: LandmarkId) -> impl Iterator<Item = String> {
    std::iter::once(input.to_owned()).chain(specific(input, landmark))
}

/// The name of a plan's input with this landmark's number, if the input belongs to a landmark.
fn specific(input: &str, landmark: LandmarkId) -> Option<String> {
    let (owner, path) = input.split_once('.')?;
    let owners: [fn(Of) -> Owner; 2] = [Owner::Adapter, Owner::Template];
    let owner = owners.into_iter().find(|generic| generic(Of::Any).to_string() == owner)?;
    Some(format!("{}.{path}", owner(Of::One(landmark))))
}

/// The name of a template vector.
pub fn vector(landmark: LandmarkId, level: Level) -> String {
    ParamId::vector(Of::One(landmark), level).to_string()
}

/// Whether a plan's input is a template vector. Template vectors are stored in f32, whatever the precision of the weights is.
pub(super) fn is_vector(input: &str) -> bool {
    // Early bundles use the names of landmark 1 for the tensors of any landmark.
    let called = [Of::Any, Of::One(LandmarkId::from_index(0))];
    let mut names = called.into_iter().flat_map(|of| Level::COARSE_TO_FINE.map(|level| ParamId::vector(of, level)));
    names.any(|vector| vector.to_string() == input)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_landmarks_outputs_feed_its_inputs_alone() {
        let seven = LandmarkId::new(7).unwrap();
        assert_eq!(
            feeding("adapter.rfb4.fuse", seven).collect::<Vec<_>>(),
            ["adapter.rfb4.fuse", "adapter.07.rfb4.fuse"]
        );
        assert_eq!(feeding("decoder.level4.join", seven).collect::<Vec<_>>(), ["decoder.level4.join"]);
        assert_eq!(feeding("decoder.rfb4.fuse", seven).collect::<Vec<_>>(), ["decoder.rfb4.fuse"]);
        assert!(is_vector("template.level3") && !is_vector("template.07.level3") && !is_vector("adapter.level3"));
        assert_eq!(vector(seven, Level::new(3).unwrap()), "template.07.level3");
    }
}
