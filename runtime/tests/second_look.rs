//! A second look by bundles small enough to reason about: both looks search for the brightest spot, or one for the darkest.
#![allow(clippy::unwrap_used)]

use onemark_film::Film;
use onemark_film::geometry::Point;
use onemark_models::bundle::{Bundle, SecondLook};
use onemark_runtime::adapt::{Example, adapt};
use onemark_runtime::backend::check_graphs;
use onemark_runtime::{BackendKind, Chain, Decoding, Detections, Detector, FoundBy, Options, RuntimeError};

mod spot;
use spot::{FILM, PX_PER_CELL, REFINED_PX, ROUNDING_PX, SPOT, backends, bundle, detector, film, film_with};

/// The bundle of the spot, which looks again with `second` at 96 px around the spot: four px per cell along both axes.
fn twice(second: &Bundle, shares: [f64; 2]) -> Bundle {
    let frame = vec![[0.5, 0.5], [0.5 - PX_PER_CELL.0 / 96.0, 0.5]];
    bundle(1.0).with_second_look(SecondLook::new(frame, shares.into()), second).unwrap()
}

#[test]
fn a_second_look_refines_the_first() {
    for backend in backends() {
        let find = |bundle: &Bundle| detector(bundle, backend, 2, Decoding::Subpixel).detect(&film()).unwrap();
        let once = find(&bundle(1.0));
        assert!(once.landmarks().iter().all(|landmark| landmark.look().is_none()));
        let found = |shares| find(&twice(&bundle(1.0), shares));
        let (none, all, half) = (found([0.0, 0.0]), found([1.0, 1.0]), found([0.5, 0.5]));
        let at = |found: &Detections, index: usize| found.landmarks()[index].position();
        for index in 0..2 {
            assert_eq!(none.landmarks()[index].look(), Some(FoundBy::First), "{backend}");
            assert_eq!(
                (all.landmarks()[index].look(), half.landmarks()[index].look()),
                (Some(FoundBy::Second), Some(FoundBy::Both))
            );
            assert_eq!(at(&none, index), at(&once, index), "{backend}");
            let (first, second) = (at(&none, index), at(&all, index));
            let middle = Point::new((first.x + second.x) / 2.0, (first.y + second.y) / 2.0);
            assert!(at(&half, index).distance_px(middle) < ROUNDING_PX, "{backend}");
        }
        assert!(at(&all, 0).distance_px(SPOT) < REFINED_PX, "{backend}: {:?}", at(&all, 0));
        assert_eq!(serde_json::from_value::<Detections>(serde_json::to_value(&half).unwrap()).unwrap(), half);
    }
}

/// The darkest cell is in a corner.
#[test]
fn where_the_looks_disagree_the_first_one_stands() {
    let backend = backends().next().unwrap();
    let found = detector(&twice(&bundle(-1.0), [0.5; 2]), backend, 1, Decoding::Subpixel).detect(&film()).unwrap();
    let once = detector(&bundle(1.0), backend, 1, Decoding::Subpixel).detect(&film()).unwrap();
    let looks: Vec<_> = found.landmarks().iter().map(|landmark| landmark.look()).collect();
    assert_eq!(looks, [Some(FoundBy::First), Some(FoundBy::Both)]);
    assert_eq!(found.landmarks()[0].position(), once.landmarks()[0].position());
    assert_eq!(found.landmarks()[0].score(), once.landmarks()[0].score());
}

/// A film without contrast has all landmarks in one place, which aligns nothing.
#[test]
fn a_film_that_can_not_be_aligned_is_looked_at_once() {
    let backend = backends().next().unwrap();
    let flat = Film::from_grey(FILM, vec![90; FILM.pixels() as usize]).unwrap();
    let detector = detector(&twice(&bundle(1.0), [0.5; 2]), backend, 1, Decoding::Argmax);
    let mut steps = Vec::new();
    let found = detector.job(&flat).on_progress(|done, total| steps.push((done, total))).run().unwrap();
    assert_eq!(steps, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
    assert!(found.landmarks().iter().all(|landmark| landmark.look() == Some(FoundBy::First)), "{found:?}");
}

#[test]
fn some_landmarks_of_two_looks_are_found_as_all_are() {
    let both = twice(&bundle(1.0), [0.5; 2]);
    for backend in backends() {
        let options = Options::default().with_backend(backend);
        let all = Detector::new(&both, options.clone()).unwrap().detect(&film()).unwrap();
        let some = Detector::new(&both, options.with_landmarks([2])).unwrap().detect(&film()).unwrap();
        assert_eq!(some.landmarks(), &all.landmarks()[1..], "{backend}");
    }
}

#[test]
fn both_looks_are_adapted_to_what_each_sees() {
    let alone = spot::adaptable();
    let frame = vec![[0.5, 0.5], [0.5 - 3.0 / 96.0, 0.5]];
    let start = alone.with_second_look(SecondLook::new(frame, vec![0.5; 2]), &alone).unwrap();
    let spots = [SPOT, Point::new(60.0, 20.0), Point::new(40.0, 30.0)];
    let films = spots.map(film_with);
    // The second point of the first film lies beyond the frame, which is 96 px wide around the spot.
    let left = [Some(Point::new(90.0, 50.0)), None, Some(Point::new(30.0, 35.0))];
    let points: [_; 3] = std::array::from_fn(|film| [Some(spots[film]), left[film]]);
    let options = Options::default().with_backend(backends().next().unwrap());
    let adapted_to = |bundle: &Bundle, which: &[usize]| {
        let examples: Vec<_> =
            which.iter().map(|film| Example { film: &films[*film], points: &points[*film] }).collect();
        adapt(bundle, &examples, None, options.clone()).unwrap()
    };
    let (adapted, changes) = adapted_to(&start, &[0, 1]);
    assert_eq!(changes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let seen = |bundle: &Bundle| {
        let films = &bundle.manifest().adapted.as_ref().unwrap().films;
        films.iter().map(|film| film.landmarks.clone()).collect::<Vec<_>>()
    };
    let second = |bundle: &Bundle| bundle.second_look().unwrap().1.clone();
    assert_eq!((seen(&adapted), seen(&second(&adapted))), (vec![vec![1, 2], vec![1]], vec![vec![1], vec![1]]));
    Detector::new(&adapted, options.clone()).unwrap().detect(&films[0]).unwrap();

    // What the second look has not seen does not count later.
    let vector = |bundle: &Bundle| second(bundle).template_vectors().unwrap()["template.02.level5"].clone();
    let (later, _) = adapted_to(&adapted, &[2]);
    let (fresh, _) = adapted_to(&start, &[2]);
    assert!(vector(&later) == vector(&fresh) && vector(&later) != vector(&start));
    assert_eq!(later.without_adaptation().unwrap().digest(), start.digest());
}

#[test]
fn graphs_of_the_second_look_are_checked() {
    check_graphs(&twice(&bundle(1.0), [0.5; 2])).unwrap();
    let harmed = twice(&bundle(f32::NAN), [0.5; 2]);
    let refused = check_graphs(&harmed).unwrap_err();
    assert!(
        matches!(&refused, RuntimeError::SecondLook { source, .. } if matches!(**source, RuntimeError::Graph { .. }))
    );
    assert!(Chain(&refused).to_string().starts_with("second look (the files whose names begin with `second-look.`): "));
    assert!(Detector::new(&harmed, Options::default().with_backend(BackendKind::Tract)).is_err());
}
