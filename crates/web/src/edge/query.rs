//! Checks the query fields of the API's calls.

use crate::edge::problem::{HttpResult, Problem};
use axum::{
    extract::Query,
    http::{Method, Uri},
};
use serde_json::Value;
use std::{borrow::Cow, collections::HashMap};
use utoipa::openapi::OpenApi;

/// How much of a message or a field's name is passed on, in characters: it may quote the client's text.
const DETAIL_LEN_MAX: usize = 200;

/// A text of the client, short enough for an answer.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(DETAIL_LEN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The field names that each call knows, by route and method, as the API's description has them.
#[derive(Debug, Default)]
pub struct QueryFields(HashMap<String, Vec<(Method, Vec<String>)>>);

impl QueryFields {
    /// The fields of a description.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let routes = document["paths"].as_object().into_iter().flatten();
        Self(routes.map(|(route, item)| (route.clone(), fields_by_method(item))).collect())
    }

    /// Refuses a field that the call does not know: a misspelt one must not be ignored, or a client that names a user
    /// would take the caller's data for another's. Routes without a description are not checked.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn check(&self, method: &Method, route: Option<&str>, uri: &Uri) -> HttpResult<()> {
        if uri.query().is_none() {
            return Ok(());
        }
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let mut calls = route.and_then(|route| self.0.get(route)).into_iter().flatten();
        let Some((_, known)) = calls.find(|(known, _)| known == method) else { return Ok(()) };
        let said = without_idle_fields(uri)?;
        let fields =
            Query::<Vec<(String, String)>>::try_from_uri(&said).map(|Query(fields)| fields).unwrap_or_default();
        match fields.into_iter().find(|(name, _)| !known.contains(name)) {
            Some((name, _)) => Err(Problem::invalid_parameter(shortened(&name), "There is no such field here.")),
            None => Ok(()),
        }
    }
}

fn fields_by_method(item: &Value) -> Vec<(Method, Vec<String>)> {
    let operations = item.as_object().into_iter().flatten();
    let fields = |operation: &Value| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let of_query = parameters.filter(|parameter| parameter["in"] == "query");
        of_query.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect()
    };
    operations
        .filter_map(|(method, operation)| Some((method.to_uppercase().parse().ok()?, fields(operation))))
        .collect()
}

/// The URI without its idle query fields: those without a value, and those whose names begin with an underscore or
/// `utm_`, which clients add to bypass caches or to mark where a visitor came from.
pub(super) fn without_idle_fields(uri: &Uri) -> HttpResult<Cow<'_, Uri>> {
    let query = uri.query().unwrap_or_default();
    if !query.split('&').any(is_idle) {
        return Ok(Cow::Borrowed(uri));
    }
    let said: Vec<_> = query.split('&').filter(|field| !is_idle(field)).collect();
    let query = format!("/?{}", said.join("&"));
    Uri::try_from(query).map(Cow::Owned).map_err(Problem::internal)
}

/// Whether a field of a query has no value, or a name that never bears on the answer.
fn is_idle(field: &str) -> bool {
    let (name, value) = field.split_once('=').unwrap_or((field, ""));
    value.is_empty() || name.starts_with('_') || name.starts_with("utm_")
}
