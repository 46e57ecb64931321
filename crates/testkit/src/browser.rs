//! A browser without script: it keeps cookies, sends forms, and says where its requests come from.

use crate::{PATIENCE, server::Server};
use reqwest::{Method, header::HeaderMap, redirect::Policy};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

/// A browser that has opened a server's pages. It follows no redirect by itself.
pub struct Browser {
    http: reqwest::Client,
    root: String,
    cookies: Mutex<BTreeMap<String, String>>,
    language: &'static str,
}

/// A page as the browser gets it.
#[derive(Debug, Clone)]
pub struct LoadedPage {
    pub status: u16,
    pub headers: HeaderMap,
    pub html: String,
}

impl LoadedPage {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The value of the first hidden field with this name.
    pub fn hidden(&self, name: &str) -> String {
        let start = format!(r#"<input type="hidden" name="{name}" value=""#);
        let (_, rest) = self.html.split_once(&start).unwrap_or_else(|| panic!("no {name} in {}", self.html));
        rest.split('"').next().unwrap().to_owned()
    }

    /// Where a redirect leads, which must be one after a form.
    pub fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.html);
        self.header("location").unwrap()
    }

    /// A page that must have this status and contain these texts.
    pub fn shows(&self, status: u16, texts: &[&str]) -> &Self {
        assert_eq!(self.status, status, "{}", self.html);
        for text in texts {
            assert!(self.html.contains(text), "{text} is not in {}", self.html);
        }
        self
    }
}

/// A text as it is written in a form's body.
fn encoded(text: &[u8]) -> String {
    text.iter().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() {
            all.push(char::from(*byte));
        } else {
            let _ = write!(all, "%{byte:02X}");
        }
        all
    })
}

/// A form's body.
pub fn form_body(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name.as_bytes()), encoded(value.as_bytes())))
        .collect();
    pairs.join("&")
}

impl Browser {
    /// A browser in English without cookies.
    pub fn at(server: &Server) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let root = format!("http://{}", server.address);
        Self { http, root, cookies: Mutex::default(), language: "en" }
    }

    /// The same in another language.
    #[must_use]
    pub fn speaking(self, language: &'static str) -> Self {
        Self { language, ..self }
    }

    /// The value of a cookie that it has.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Sets a cookie.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.to_owned());
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let cookie: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.request(method, format!("{}{path}", self.root)).timeout(PATIENCE);
        let request = request.header("accept", "text/html").header("accept-language", self.language);
        if cookie.is_empty() { request } else { request.header("cookie", cookie.join("; ")) }
    }

    async fn load(&self, request: reqwest::RequestBuilder) -> LoadedPage {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all("set-cookie") {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
            if attributes.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        LoadedPage { status, headers, html: response.text().await.unwrap() }
    }

    /// Opens a page.
    pub async fn open(&self, path: &str) -> LoadedPage {
        self.load(self.request(Method::GET, path)).await
    }

    /// Opens a page with more headers.
    pub async fn open_with(&self, path: &str, headers: &[(&str, &str)]) -> LoadedPage {
        let request = self.request(Method::GET, path);
        self.load(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// Sends a form from a page of the server.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> LoadedPage {
        self.send_with(path, form_body(fields), &[("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a body as a form, with these headers.
    pub async fn send_with(&self, path: &str, body: String, headers: &[(&str, &str)]) -> LoadedPage {
        let request = self.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.load(request.body(body)).await
    }
}
