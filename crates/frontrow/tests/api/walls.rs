//! Walls between the crates that the compiler does not build.

use std::path::{Path, PathBuf};

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
