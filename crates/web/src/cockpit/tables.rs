//! What lists and objects are shown in: links, facts, tables, and their pages.

use super::{moments::MomentLine, shell::CockpitShell};
use crate::{
    edge::{
        problem::{HttpResult, Problem},
        reply::List,
    },
    html::shell::html,
};
use askama::Template;
use axum::{http::StatusCode, response::Response};
use serde::Serialize;

/// Words that lead somewhere.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) text: String,
    pub(super) href: String,
}

impl Link {
    pub(super) fn to(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into() }
    }
}

/// A field of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) href: Option<String>,
    /// The class that says how it looks.
    pub(super) look: &'static str,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(super) fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: Some(href.into()), ..Self::default() }
    }

    pub(super) fn figure(text: impl Into<String>) -> Self {
        Self { text: text.into(), look: "figure", ..Self::default() }
    }
}

/// A table with a caption.
#[derive(Debug, Clone)]
pub(super) struct RowTable {
    pub(super) caption: String,
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is said instead of a table without rows.
    pub(super) none: String,
}

impl RowTable {
    /// The rows' cells, each with the head of its column.
    pub(super) fn cells<'a>(&'a self, row: &'a [Cell]) -> impl Iterator<Item = (&'a str, &'a Cell)> {
        self.heads.iter().map(String::as_str).zip(row)
    }
}

/// A field of an object: what it is called, and what it says.
#[derive(Debug, Clone)]
pub(super) struct ObjectFact {
    pub(super) name: String,
    pub(super) value: Cell,
}

impl ObjectFact {
    pub(super) const fn of(name: String, value: Cell) -> Self {
        Self { name, value }
    }
}

/// A choice by which a list is narrowed.
#[derive(Debug, Clone)]
pub(super) struct ListChoice {
    pub(super) name: &'static str,
    pub(super) label: String,
    /// The values with their words.
    pub(super) options: Vec<(String, String)>,
    pub(super) chosen: String,
}

impl ListChoice {
    /// A choice of states, with the one that the query has.
    pub(super) fn of<T: Serialize + Copy>(
        shell: &CockpitShell,
        name: &'static str,
        chosen: Option<T>,
        options: impl IntoIterator<Item = (T, String)>,
    ) -> HttpResult<Self> {
        let options = options.into_iter().map(|(value, words)| Ok((word_of(value)?, words)));
        Ok(Self {
            name,
            label: shell.t("orders-state"),
            options: options.collect::<HttpResult<_>>()?,
            chosen: chosen.map(word_of).transpose()?.unwrap_or_default(),
        })
    }
}

/// The word of a value in a query.
fn word_of(value: impl Serialize) -> HttpResult<String> {
    let word = serde_json::to_value(value).map_err(Problem::internal)?;
    Ok(word.as_str().unwrap_or_default().to_owned())
}

/// A text by which a list is narrowed.
#[derive(Debug, Clone)]
pub(super) struct Narrowing {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) value: String,
    /// Why the text is not taken.
    pub(super) fault: Option<String>,
}

impl Narrowing {
    /// The field with the text of a query.
    pub(super) fn read(label: String, name: &'static str, given: Option<&str>) -> Self {
        Self { name, label, value: given.unwrap_or_default().trim().to_owned(), fault: None }
    }

    /// What the text stands for, and the field as it is shown again: with a fault if it stands for nothing.
    pub(super) fn taken<T>(
        self,
        shell: &CockpitShell,
        fault: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> (Option<T>, Self) {
        if self.value.is_empty() {
            return (None, self);
        }
        let taken = read(&self.value);
        let fault = taken.is_none().then(|| shell.t(fault));
        (taken, Self { fault, ..self })
    }
}

/// A list, a part at a time.
#[derive(Template)]
#[template(path = "cockpit/list.html")]
pub(super) struct ListPage {
    pub(super) shell: CockpitShell,
    pub(super) title: String,
    /// What the list is a part of.
    pub(super) about: Option<Link>,
    /// Where the list itself is.
    pub(super) path: &'static str,
    /// What is to be known of the rows as a whole.
    pub(super) state: Option<String>,
    pub(super) choices: Vec<ListChoice>,
    pub(super) texts: Vec<Narrowing>,
    pub(super) table: RowTable,
    pub(super) newest: Option<String>,
    pub(super) older: Option<String>,
}

impl ListPage {
    /// The page: 422 if a text is not taken.
    pub(super) fn answer(&self) -> HttpResult<Response> {
        let is_faulty = self.texts.iter().any(|text| text.fault.is_some());
        html(&self.shell, if is_faulty { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, self)
    }
}

/// The addresses of the first part of a list and of the next one, with the fields that narrow it.
pub(super) fn pager<T>(
    path: &str,
    narrowed: &impl Serialize,
    is_first: bool,
    list: &List<T>,
) -> HttpResult<(Option<String>, Option<String>)> {
    let query = query_of(narrowed)?;
    let address = |cursor: Option<&str>| {
        let mut query = query.clone();
        query.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor.to_owned())));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    };
    Ok(((!is_first).then(|| address(None)), list.next_cursor.as_deref().map(|cursor| address(Some(cursor)))))
}

/// The fields of a query, without those that have no value.
fn query_of(narrowed: &impl Serialize) -> HttpResult<Vec<(String, String)>> {
    let value = serde_json::to_value(narrowed).map_err(Problem::internal)?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let fields = value.as_object().into_iter().flatten();
    Ok(fields.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect())
}

/// An object: what it is now, what may be done, what happened, and its rows.
#[derive(Template)]
#[template(path = "cockpit/object.html")]
pub(super) struct ObjectPage {
    pub(super) shell: CockpitShell,
    pub(super) title: String,
    /// What it is now, in a sentence.
    pub(super) state: String,
    pub(super) facts: Vec<ObjectFact>,
    pub(super) acts: Vec<Link>,
    /// Where more about it is.
    pub(super) more: Vec<Link>,
    pub(super) tables: Vec<RowTable>,
    pub(super) timeline: Vec<MomentLine>,
    /// What is said below a timeline that has more before its first moment.
    pub(super) cut: Option<String>,
    /// Its rows as JSON.
    pub(super) raw: String,
}

impl ObjectPage {
    pub(super) fn answer(&self) -> HttpResult<Response> {
        html(&self.shell, StatusCode::OK, self)
    }
}

/// Rows as JSON for people to read.
pub(super) fn raw(rows: &serde_json::Value) -> HttpResult<String> {
    serde_json::to_string_pretty(rows).map_err(Problem::internal)
}
