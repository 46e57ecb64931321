//! The parts of a `multipart/form-data` body, as browsers write them.

use crate::edge::problem::{HttpResult, Problem};
use bytes::Bytes;

/// The longest boundary that there may be, in bytes.
const BOUNDARY_LEN_MAX: usize = 70;
/// The longest head of a part, in bytes.
const HEAD_LEN_MAX: usize = 4_096;

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FormPart {
    pub(super) field: String,
    /// The name of the file; none if the part is none.
    pub(super) file_name: Option<String>,
    pub(super) bytes: Bytes,
}

/// The boundary that a `Content-Type` names; none for another media type.
pub(super) fn boundary(media_type: &str) -> Option<String> {
    let mut parts = media_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (_, boundary) =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.trim_matches('"');
    ((1..=BOUNDARY_LEN_MAX).contains(&boundary.len())).then(|| boundary.to_owned())
}

/// The parts of a body, in order.
///
/// # Errors
/// 422: it is not such a body, or has more than `max` parts.
pub(super) fn parts(body: &Bytes, boundary: &str, max: usize) -> HttpResult<Vec<FormPart>> {
    let broken = || Problem::invalid_field("form", "The form cannot be read.");
    let line = format!("--{boundary}");
    let start = format!("\r\n{line}");
    let mut at = if body.starts_with(line.as_bytes()) {
        line.len()
    } else {
        find(body, start.as_bytes()).ok_or_else(broken)? + start.len()
    };
    let mut parts = Vec::new();
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        if parts.len() == max {
            return Err(Problem::invalid_field("form", "The form has too many fields."));
        }
        let rest = rest.strip_prefix(b"\r\n").ok_or_else(broken)?;
        at += 2;
        let head = rest.get(..rest.len().min(HEAD_LEN_MAX)).unwrap_or_default();
        let head_len = find(head, b"\r\n\r\n").ok_or_else(broken)?;
        let from = at + head_len + 4;
        let len = find(body.get(from..).unwrap_or_default(), start.as_bytes()).ok_or_else(broken)?;
        let head = std::str::from_utf8(head.get(..head_len).unwrap_or_default()).map_err(|_| broken())?;
        let (field, file_name) = names(head).ok_or_else(broken)?;
        parts.push(FormPart { field, file_name, bytes: body.slice(from..from + len) });
        at = from + len + start.len();
    }
}

/// Where a text begins that starts with a rare byte.
fn find(within: &[u8], text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let mut from = 0;
    loop {
        let rest = within.get(from..)?;
        let at = rest.iter().position(|byte| *byte == first)?;
        if rest.get(at..)?.starts_with(text) {
            return Some(from + at);
        }
        from += at + 1;
    }
}

/// The field and the file that the head of a part names.
fn names(head: &str) -> Option<(String, Option<String>)> {
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    Some((quoted(disposition, "; name=\"")?, quoted(disposition, "; filename=\"")))
}

/// The text in quotes after `start`. Browsers write quotes and line ends in it as `%22`, `%0D` and `%0A`.
fn quoted(text: &str, start: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    let (inside, _) = rest.split_once('"')?;
    Some(inside.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Bytes {
        Bytes::from(text.replace('\n', "\r\n"))
    }

    #[test]
    fn a_form_with_a_file_has_its_parts() {
        let sent = body(
            "--xYz\nContent-Disposition: form-data; name=\"text\"\n\n한\n줄\n--xYz\nContent-Disposition: form-data; \
             name=\"file\"; filename=\"a%22b.csv\"\nContent-Type: text/csv\n\nA,1\n--xY\n\n--xYz--\n",
        );
        let found = parts(&sent, "xYz", 10).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].field.as_str(), &found[0].file_name), ("text", &None));
        assert_eq!(found[0].bytes, "한\r\n줄");
        assert_eq!((found[1].field.as_str(), found[1].file_name.as_deref()), ("file", Some("a\"b.csv")));
        assert_eq!(found[1].bytes, "A,1\r\n--xY\r\n");
        assert!(parts(&sent, "xYz", 1).is_err());
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for bad in [
            "",
            "--x",
            "--x\n",
            "--x\n\n--x--",
            "--x\nContent-Disposition: form-data; name=\"a\"\n\nvalue",
            "--x\nContent-Type: text/csv\n\nvalue\n--x--",
            "--y\nContent-Disposition: form-data; name=\"a\"\n\nvalue\n--y--",
        ] {
            assert!(parts(&body(bad), "x", 10).is_err(), "{bad}");
        }
        assert!(parts(&body("--x--"), "x", 10).unwrap().is_empty());
    }

    #[test]
    fn a_boundary_is_that_of_a_form() {
        assert_eq!(boundary("multipart/form-data; boundary=----a1").as_deref(), Some("----a1"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"").as_deref(), Some("a b"));
        for other in
            ["multipart/mixed; boundary=a", "multipart/form-data", "multipart/form-data; boundary=", "text/csv"]
        {
            assert_eq!(boundary(other), None, "{other}");
        }
    }
}
