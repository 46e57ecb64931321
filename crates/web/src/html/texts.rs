//! The words of the pages: Fluent catalogues, one file for each page and language.

use crate::{edge::language::Language, html::figures};
use anyhow::{Context as _, anyhow};
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

/// The files of both languages.
macro_rules! catalogues {
    ($($name:literal),+ $(,)?) => {
        &[$((
            include_str!(concat!("../../texts/ko/", $name, ".ftl")),
            include_str!(concat!("../../texts/en/", $name, ".ftl")),
        )),+]
    };
}

/// The Korean and the English text of each file.
const FILES: &[(&str, &str)] = catalogues![
    "shell",
    "problems",
    "accounts",
    "season",
    "concert",
    "hall",
    "waiting",
    "draw",
    "line_report",
    "purchase",
    "mine",
    "cockpit",
    "cockpit_concerts",
    "cockpit_desk",
    "cockpit_entries",
    "cockpit_factor",
    "cockpit_ready",
    "cockpit_orders",
    "cockpit_rehearsal",
    "cockpit_seats",
];

/// The words of all languages.
pub(crate) struct Texts {
    korean: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl std::fmt::Debug for Texts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Texts")
    }
}

impl Texts {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            korean: bundle(Language::Korean, FILES.iter().map(|(korean, _)| *korean))?,
            english: bundle(Language::English, FILES.iter().map(|(_, english)| *english))?,
        })
    }

    /// The text of a message, with its variables filled in. A message that is missing shows its name; a test finds it.
    pub(crate) fn text(&self, language: Language, id: &str, variables: &[(&'static str, FluentValue<'_>)]) -> String {
        self.find(language, id, variables).unwrap_or_else(|| id.to_owned())
    }

    /// As [`Texts::text`]; none if there is no such message.
    pub(crate) fn find(
        &self,
        language: Language,
        id: &str,
        variables: &[(&'static str, FluentValue<'_>)],
    ) -> Option<String> {
        let bundle = match language {
            Language::Korean => &self.korean,
            Language::English => &self.english,
        };
        let pattern = bundle.get_message(id)?.value()?;
        let variables: FluentArgs<'_> = variables.iter().map(|(name, value)| (*name, value.clone())).collect();
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(&variables), &mut errors).into_owned();
        if !errors.is_empty() {
            tracing::error!(message = id, ?errors, "a text of the pages lacks a variable");
        }
        Some(text)
    }
}

fn bundle(
    language: Language,
    files: impl Iterator<Item = &'static str>,
) -> anyhow::Result<FluentBundle<FluentResource>> {
    let tag: LanguageIdentifier = language.tag().parse().context("a language's tag")?;
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // The marks around variables are for right-to-left scripts; search and copying would find them.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(|value, _| match value {
        FluentValue::Number(number) => Some(figures::grouped_number(number.value)),
        _ => None,
    }));
    for file in files {
        let resource = FluentResource::try_new(file.to_owned()).map_err(|(_, errors)| anyhow!("{errors:?}"))?;
        bundle.add_resource(resource).map_err(|errors| anyhow!("{errors:?}"))?;
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::Path,
    };

    /// The messages of a catalogue with the variables that each names.
    fn messages(file: &str) -> BTreeMap<String, BTreeSet<String>> {
        let (id, variable) = (Regex::new(r"^([a-z][a-z0-9_-]*) *=").unwrap(), Regex::new(r"\$([a-z_]+)").unwrap());
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = None;
        for line in file.lines() {
            if let Some(name) = id.captures(line) {
                current = Some(name[1].to_owned());
                assert!(found.insert(name[1].to_owned(), BTreeSet::new()).is_none(), "{} stands twice", &name[1]);
            }
            if let Some(variables) = current.as_ref().and_then(|current| found.get_mut(current)) {
                variables.extend(variable.captures_iter(line).map(|found| found[1].to_owned()));
            }
        }
        found
    }

    fn read(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "html") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn both_languages_have_the_same_messages_with_the_same_variables() {
        for (korean, english) in FILES {
            assert_eq!(messages(korean), messages(english));
        }
        Texts::new().unwrap();
    }

    #[test]
    fn each_thing_has_one_word_and_english_contracts() {
        // Words that were another name of something, or blamed the reader.
        let korean = "단추|편지|페이지|놓아|주최자|아무것도 잡지|계정 지우기|판매 끝|있어요|선점|판매 제외";
        let english =
            r"'|cannot|[Ll]etter\b|[Gg]ive up|basket|(is|are|do|does|did|was|has|have) not\b|(It|That|There) is ";
        for (texts, words) in FILES.iter().flat_map(|(ko, en)| [(ko, korean), (en, english)]) {
            let words = Regex::new(words).unwrap();
            for line in texts.lines() {
                let text = line.split_once(" = ").map_or(line, |(_, text)| text);
                assert!(!words.is_match(text), "{line}");
            }
        }
    }

    #[test]
    fn every_catalogue_is_in_the_program() {
        for language in Language::ALL {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("texts").join(language.tag());
            assert_eq!(std::fs::read_dir(folder).unwrap().count(), FILES.len());
        }
    }

    #[test]
    fn every_message_that_is_used_exists_and_every_one_that_exists_is_used() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut code = String::new();
        for folder in ["src/html", "src/pages", "src/cockpit"] {
            read(&root.join(folder), &mut code);
        }
        read(&root.join("templates"), &mut code);
        let known: BTreeSet<_> = FILES.iter().flat_map(|(korean, _)| messages(korean).into_keys()).collect();
        let used = Regex::new(r#"\bt[0-9]?\(\s*"([a-z0-9_-]+)""#).unwrap();
        for name in used.captures_iter(&code) {
            assert!(known.contains(&name[1]), "there is no text {}", &name[1]);
        }
        for name in &known {
            // The texts of problems are found by the codes.
            let is_used = name.starts_with("problem-") || code.contains(&format!("\"{name}\""));
            assert!(is_used, "the text {name} is never used");
        }
    }
}
