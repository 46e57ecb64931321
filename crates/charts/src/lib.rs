//! Charts of numbers over time: a module of JavaScript and a style. The cockpit serves them as files; the crowd's report
//! has them in its page.
//!
//! `model.js` is pure and has the tests (`assets-tests`); `chart.js` draws. How a page uses them: `charts(container,
//! plan)`, and `set`, `push` and `mark` of what it returns.

/// The drawing: the module that a page imports. It imports `./model.js`.
pub const SCRIPT: &str = include_str!("../assets/chart/chart.js");
/// The numbers, steps and paths.
pub const MODEL: &str = include_str!("../assets/chart/model.js");
/// The style. It takes the colours of the page, and has its own if there are none.
pub const STYLE: &str = include_str!("../assets/chart/chart.css");

/// Both modules as one text that imports nothing, for a script that stands in a page.
#[must_use]
pub fn inline_script() -> String {
    let drawing = SCRIPT.lines().filter(|line| !line.starts_with("import "));
    let mut script = String::with_capacity(MODEL.len() + SCRIPT.len());
    for line in MODEL.lines().chain(drawing) {
        script.push_str(line.strip_prefix("export ").unwrap_or(line));
        script.push('\n');
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_for_a_page_imports_and_exports_nothing_and_does_not_end_it() {
        let script = inline_script();
        assert!(script.contains("function charts(") && script.contains("class Series"));
        for line in script.lines() {
            assert!(!line.starts_with("import ") && !line.starts_with("export "), "{line}");
        }
        let (drawing, model) = (SCRIPT.matches("import {").count(), MODEL.matches("import {").count());
        assert_eq!((drawing, model), (1, 0), "an import over several lines would stay");
        assert!(!script.contains("</script") && !script.contains("<!--"), "HTML would end the script");
        assert!(!STYLE.contains("</style") && !STYLE.contains("url("), "and a style loads nothing");
    }
}
