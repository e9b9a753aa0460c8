//! Wrong beginnings with films and landmarks of one's own: each is refused before anything is computed.

use super::*;

/// The annotation of the template, `a.png`, which is 97 x 120 px.
const TABLE: &str = "image,landmark,x,y\na,tip,9,111\na,base,20,100\na,left,30,90\na,right,40,80\na,middle,50,70\n";

/// Writes `plain`, three films of which one is annotated, and `five.yaml`, its landmark set.
pub fn plain_films(here: &Path) {
    fs::create_dir_all(here.join("plain/images")).unwrap();
    for (film, id) in
        ["RawImage/TrainingData/001", "RawImage/TrainingData/002", "RawImage/Test1Data/151"].iter().zip("abc".chars())
    {
        fs::copy(here.join(format!("films/{film}.png")), here.join(format!("plain/images/{id}.png"))).unwrap();
    }
    fs::write(here.join("plain/landmarks.csv"), TABLE).unwrap();
    let names = ["tip", "base", "left", "right", "middle"];
    let landmarks = (1..).zip(names).map(|(number, name): (usize, _)| {
        format!("  - {{ number: {number}, name: {name}, title: The {name}, definition: The {name} of it. }}\n")
    });
    let set = format!("id: five\nname: Five points\nsource: tests\nlandmarks:\n{}", landmarks.collect::<String>());
    fs::write(here.join("five.yaml"), set).unwrap();
}

fn annotate(here: &Path, table: &str) {
    fs::write(here.join("plain/landmarks.csv"), table).unwrap();
}

/// The annotation of both films.
fn annotate_two(here: &Path) {
    annotate(here, &format!("{TABLE}{}", TABLE.replace("image,landmark,x,y\n", "").replace("a,", "b,")));
}

pub const CASES: &[Case] = &[
    Case {
        name: "no annotation",
        harm: |here| fs::remove_file(here.join("plain/landmarks.csv")).unwrap(),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &[
            "no annotation of any of the 3 films in plain/images",
            "put landmarks.csv (image,landmark,x,y) into plain",
        ],
    },
    Case {
        name: "two annotated films, and neither has a landmark",
        harm: |here| {
            annotate_two(here);
            edit(&here.join("plain/landmarks.csv"), |text| {
                text.replace("a,right,40,80\n", "").replace("b,right,40,80\n", "")
            });
        },
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["landmark 4 is annotated on none of the 2 annotated films to train on; annotate it on one of them"],
    },
    Case {
        name: "two annotated films, and the template is another",
        harm: annotate_two,
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu --template c",
        says: &["c.png is not annotated", "--template ID"],
    },
    Case {
        name: "no film is called like the template",
        harm: NOTHING,
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu --template aa",
        says: &["no film \"aa\"", "nearest ids are a,", "--template ID"],
    },
    Case {
        name: "more numbers than landmarks in the set",
        harm: |here| {
            let rows: String = (1..=20).map(|number| format!("a,{number},9,{number}\n")).collect();
            annotate(here, &format!("image,landmark,x,y\n{rows}"));
        },
        line: "run --recipe recipe.yaml --data plain --out run --device cpu",
        says: &["a.png is annotated with 20 landmarks, but set \"isbi19\" has 19", "--landmarks SET"],
    },
    Case {
        name: "a name that the set does not have",
        harm: |here| edit(&here.join("plain/landmarks.csv"), |text| text.replace("left", "lefft")),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &[
            "landmarks.csv, line 4",
            "\"lefft\" is none of the 5 landmarks of set \"five\"",
            "did you mean `left`?",
        ],
    },
    Case {
        name: "the recipe's set, for films with another",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --data plain --out run --device cpu",
        says: &["\"tip\" is none of the 19 landmarks of set \"isbi19\"", "or give the set that fits"],
    },
    Case {
        name: "a landmark outside the template",
        harm: |here| edit(&here.join("plain/landmarks.csv"), |text| text.replace("9,111", "9,121")),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["a.png: landmark 1 at x 9, y 121 lies outside its 97x120 px"],
    },
    Case {
        name: "the template lacks a landmark",
        harm: |here| edit(&here.join("plain/landmarks.csv"), |text| text.replace("a,right,40,80\n", "")),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["a.png is not annotated completely: landmarks 4 are missing; add them"],
    },
    Case {
        name: "one film",
        harm: |here| {
            ["b", "c"].iter().for_each(|id| fs::remove_file(here.join(format!("plain/images/{id}.png"))).unwrap())
        },
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu --budget 1s",
        says: &["film a, is the only film", "at least one more, which needs no annotation"],
    },
    Case {
        name: "no film",
        harm: |here| fs::remove_dir_all(here.join("plain/images")).unwrap(),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["plain is not a dataset", "looked for RawImage/", "images/"],
    },
    Case {
        name: "an empty folder of films",
        harm: |here| {
            ["a", "b", "c"].iter().for_each(|id| fs::remove_file(here.join(format!("plain/images/{id}.png"))).unwrap())
        },
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["plain"],
    },
    Case {
        name: "points of a film that is not there",
        harm: |here| edit(&here.join("plain/landmarks.csv"), |text| text.replace("a,", "d.png,")),
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &["landmarks.csv, line 2: there is no image \"d.png\""],
    },
    Case {
        name: "no such file of a set",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --landmarks nowhere.yaml --data plain --out run --device cpu",
        says: &["the landmark set nowhere.yaml can't be read; check the path: No such file"],
    },
    Case {
        name: "no such set",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --landmarks isbi91 --data plain --out run --device cpu",
        says: &["no landmark set is called \"isbi91\"", "did you mean \"isbi19\"?", "path of a file"],
    },
    Case {
        name: "a set that is text",
        harm: NOTHING,
        line: "run --recipe recipe.yaml --landmarks note.txt --data plain --out run --device cpu",
        says: &["note.txt:1: "],
    },
    Case {
        name: "a set that breaks a rule",
        harm: |here| edit(&here.join("five.yaml"), |text| text.replace("number: 3", "number: 4")),
        line: "run --recipe recipe.yaml --landmarks five.yaml --data plain --out run --device cpu",
        says: &["five.yaml:7: entry 3: its number is 4, it must be 3"],
    },
    Case {
        name: "a recipe that names its set by a wrong path",
        harm: |here| {
            edit(&here.join("five-recipe.yaml"), |text| text.replace("landmarks: five", "landmarks: sets/five"))
        },
        line: "run --recipe five-recipe.yaml --data plain --out run --device cpu",
        says: &[
            "five-recipe.yaml:3: landmarks: the landmark set sets/five.yaml can't be read; check the path: No such file",
        ],
    },
    Case {
        name: "another set for a run that is resumed",
        harm: NOTHING,
        line: "run --resume --landmarks five.yaml --data plain --out run --device cpu",
        says: &["--resume", "cannot be used with", "--landmarks"],
    },
    Case {
        name: "a table: films without a test set",
        harm: NOTHING,
        line: "reproduce table1 --scale phantom --data plain --landmarks five.yaml --out tables --device cpu",
        says: &["plain is a plain folder, of which no part is called test1; choose all", "by --split"],
    },
    Case {
        name: "a table: only the template is annotated",
        harm: NOTHING,
        line: "reproduce table1 --scale phantom --data plain --landmarks five.yaml --split all --out tables --device cpu",
        says: &["no film of split all but the template is annotated", "annotate some films"],
    },
    Case {
        name: "a table: no spacing",
        harm: annotate_two,
        line: "reproduce table1 --scale phantom --data plain --landmarks five.yaml --split all --template a --out tables --device cpu",
        says: &["a.png has no pixel spacing", "or give --spacing"],
    },
    Case {
        name: "a table: another set",
        harm: annotate_two,
        line: "reproduce table1 --scale phantom --data plain --split all --template a --out tables --device cpu",
        says: &["\"tip\" is none of the 19 landmarks of set \"isbi19\""],
    },
];

/// What is unusual and can be trained is said, and training begins.
#[test]
fn what_is_unusual_is_said() {
    if !Program::Train.is_here() {
        return;
    }
    let here = fresh();
    let here = here.path();
    image::GrayImage::from_fn(60, 90, |x, y| image::Luma([(x + y) as u8]))
        .save(here.join("plain/images/b.png"))
        .unwrap();
    let line = "run --recipe five-recipe.yaml --data plain --out run --device cpu --threads 1 --budget 1ms";
    let said = Program::Train.succeed(here, line).stderr;
    for words in [
        "template a: it is the only annotated film",
        "5 landmarks, 3 films of plain, template a",
        "the films have 2 sizes, and each is resized: 97x120 px (2), 60x90 px (1)",
        "the budget is too short for this recipe on these films: even with the fewest copies, epochs and steps, it takes at least",
        "cut to fit the budget: shared: 1 x 1 steps instead of 1 x 2 steps",
    ] {
        assert!(said.contains(words), "does not say {words:?}: {said}");
    }
}
