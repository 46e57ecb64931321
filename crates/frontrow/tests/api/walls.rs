//! Walls between the crates that the compiler does not build.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The Rust files under a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn outside_the_service_nothing_names_a_command_or_the_door_for_tests() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    for folder in ["web/src", "frontrow/src"] {
        sources(&crates.join(folder), &mut files);
    }
    assert!(files.len() > 40, "{files:?}");
    let named = regex::Regex::new(
        r"command::(\{[^;]*\b)?(Command|Outcome)\b|command::(\{[^}]*\b)?(Request|Answer)\b|frontrow_service::testing|\btesting::|\bdomain::command::\*",
    )
    .unwrap();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let found = named.find(&text).map(|found| found.as_str());
        assert_eq!(found, None, "{}", file.display());
    }
}

#[test]
fn the_api_the_pages_for_buyers_and_those_for_operators_do_not_name_each_other() {
    let web = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../web/src"));
    let doors = ["api", "pages", "cockpit"];
    for door in doors.into_iter().chain(["html"]) {
        let mut files = vec![web.join(format!("{door}.rs"))];
        sources(&web.join(door), &mut files);
        assert!(files.len() > 1, "{door}");
        for other in doors.into_iter().filter(|other| *other != door) {
            let named = regex::Regex::new(&format!(r"crate::{other}\b|crate::\{{[^;]*\b{other}::")).unwrap();
            for file in &files {
                let text = std::fs::read_to_string(file).unwrap();
                let found = named.find(&text).map(|found| found.as_str());
                assert_eq!(found, None, "{}", file.display());
            }
        }
    }
}

/// Pairs of modules that name the same things alike: the module says whose they are.
const TWINS: [&[&str]; 2] = [
    // One kind of row, column or pool in each database.
    &["storage/src/sqlite", "storage/src/postgres"],
    // The crowd's own shapes of the API: it uses no code of the server.
    &["rush/src/api.rs", "domain/src", "line/src", "service/src", "storage/src", "web/src"],
];

/// Whether these files are in different modules of one row of [`TWINS`].
fn are_twins(files: &[String]) -> bool {
    TWINS.iter().any(|modules| {
        let of = |file: &String| modules.iter().position(|module| file.starts_with(module));
        let mut found: Vec<_> = files.iter().map(of).collect();
        found.sort_unstable();
        let first = found.first().is_some_and(|module| *module == Some(0));
        found.dedup();
        first && found.len() == files.len()
    })
}

#[test]
fn no_type_has_the_name_of_another() {
    let crates = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut files);
    }
    let defined = regex::Regex::new(
        r"(?m)^ *(?:pub(?:\([a-z]+\))? )?(?:struct|enum|trait) (\w+)|^(?:pub(?:\([a-z]+\))? )?type (\w+)",
    )
    .unwrap();
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(crates).unwrap().display().to_string();
        for found in defined.captures_iter(&std::fs::read_to_string(&file).unwrap()) {
            let defined = found.get(1).or(found.get(2)).unwrap().as_str();
            places.entry(defined.to_owned()).or_default().push(name.clone());
        }
    }
    assert!(places.len() > 400, "{}", places.len());
    places.retain(|_, files| files.len() > 1 && !are_twins(files));
    assert!(places.is_empty(), "{places:#?}");
}
