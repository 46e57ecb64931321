//! The pictures of the guide, drawn from simulated sales: lines and bars that are readable on light and dark pages.

use super::{
    SimulatedSale,
    measure::{Accuracy, PART},
    printed::rivals_of,
    rivals::RivalReport,
    scenario::Scenario,
};
use anyhow::{Context, Result};
use std::{fmt::Write, fs, path::Path};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 624.0;
const BOTTOM: f64 = 236.0;
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#333}.h{font-size:14px;font-weight:600}.g{stroke:#ccc}\
    .a{fill:#1d6fd1}.b{fill:#c25700}.l{fill:none;stroke:#1d6fd1;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#555}.a{fill:#6cb0ff}.b{fill:#ffa657}.l{stroke:#6cb0ff}}";

/// Draws all pictures into the folder; what was written.
pub(super) fn draw(folder: &Path, seed: u64) -> Result<Vec<String>> {
    let report = SimulatedSale::open(Scenario::life(), seed)?.run()?;
    let rivals = rivals_of(&Scenario::life(), seed)?;
    let pictures = [
        ("waiting-room-idle.svg", idle_picture(&report.idle_over_time)?),
        ("waiting-room-told.svg", told_picture(&report.by_horizon)?),
        ("waiting-room-rivals.svg", rivals_picture(&rivals)?),
    ];
    fs::create_dir_all(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut written = Vec::new();
    for (name, picture) in pictures {
        let path = folder.join(name);
        fs::write(&path, picture).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

/// An empty picture with a heading and a scale from nothing to `top` per cent.
fn frame(title: &str, alt: &str, top: f64) -> Result<String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{alt}\">\n\
         <title>{alt}</title>\n<style>{STYLE}</style>\n<text class=\"h\" x=\"{LEFT}\" y=\"20\">{title}</text>\n"
    );
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let y = height_of(value, top);
        writeln!(svg, "<line class=\"g\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>")?;
        writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0} %</text>", LEFT - 6.0, y + 4.0)?;
    }
    Ok(svg)
}

fn height_of(value: f64, top: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * (value / top).clamp(0.0, 1.0)
}

fn count_of(count: usize) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from)
}

/// The places that stand idle over the time of a sale.
fn idle_picture(parts: &[f64]) -> Result<String> {
    let mut svg =
        frame("Idle places over a sale (life)", "Idle places in per cent over the minutes of the sale life", 100.0)?;
    let last = count_of(parts.len().max(2) - 1);
    let points = parts.iter().enumerate().map(|(at, idle)| {
        let x = LEFT + (RIGHT - LEFT) * count_of(at) / last;
        format!("{x:.1},{:.1}", height_of(*idle, 100.0))
    });
    writeln!(svg, "<polyline class=\"l\" points=\"{}\"/>", points.collect::<Vec<_>>().join(" "))?;
    let minutes = i64::try_from(parts.len()).unwrap_or(0) * PART.micros() / 60_000_000;
    for part in 0..=4 {
        let x = LEFT + (RIGHT - LEFT) * f64::from(part) / 4.0;
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"256\" text-anchor=\"middle\">{} min</text>",
            minutes * i64::from(part) / 4
        )?;
    }
    Ok(svg + "</svg>\n")
}

/// A group of bars: its name, and the height of each.
struct Bars {
    name: String,
    values: [f64; 2],
}

fn bars(mut svg: String, groups: &[Bars], names: [&str; 2], top: f64) -> Result<String> {
    let width = (RIGHT - LEFT) / count_of(groups.len().max(1));
    for (at, group) in groups.iter().enumerate() {
        let x = LEFT + width * count_of(at);
        for (number, (value, class)) in group.values.iter().zip(["a", "b"]).enumerate() {
            let (y, x) = (height_of(*value, top), x + width * (0.15 + 0.36 * count_of(number)));
            let (wide, high) = (width * 0.34, BOTTOM - y);
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\"/>"
            )?;
            writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.0}</text>",
                x + wide / 2.0,
                y - 4.0
            )?;
        }
        writeln!(svg, "<text x=\"{:.1}\" y=\"254\" text-anchor=\"middle\">{}</text>", x + width / 2.0, group.name)?;
    }
    for (at, (name, class)) in names.into_iter().zip(["a", "b"]).enumerate() {
        let x = LEFT + 220.0 * count_of(at);
        writeln!(svg, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"264\" width=\"10\" height=\"10\"/>")?;
        writeln!(svg, "<text x=\"{:.1}\" y=\"273\">{name}</text>", x + 16.0)?;
    }
    Ok(svg + "</svg>\n")
}

/// How far told waits are off, by how long the wait still was.
fn told_picture(horizons: &[Accuracy]) -> Result<String> {
    let known = horizons.iter().filter(|near| near.told > 0);
    let groups = known.map(|near| Bars {
        name: format!("{} s before", near.horizon.unwrap_or_default()),
        values: [near.error_percent, near.covered_percent],
    });
    let groups: Vec<_> = groups.collect();
    let alt =
        "Told waits beside those that came, by how long the wait still was: median distance, and waits within the p90";
    let names = ["median distance in %", "waits within the p90 in %"];
    bars(frame("Told waits and those that came (life)", alt, 100.0)?, &groups, names, 100.0)
}

/// Idle places and the distance of told waits, here and in other waiting rooms.
fn rivals_picture(rivals: &[RivalReport]) -> Result<String> {
    let groups: Vec<_> = rivals
        .iter()
        .map(|rival| Bars { name: rival.name.to_owned(), values: [rival.idle_percent, rival.error_percent] })
        .collect();
    let alt = "Idle places and the median distance of told waits in per cent, of Frontrow and of four known algorithms";
    let names = ["idle places in %", "told wait off by %"];
    bars(frame("The same crowd before other waiting rooms (life)", alt, 100.0)?, &groups, names, 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_the_same_each_time_and_say_what_they_show() {
        let picture = || idle_picture(&[100.0, 40.0, 2.0]).unwrap();
        assert_eq!(picture(), picture());
        assert!(picture().contains("aria-label") && picture().contains("prefers-color-scheme"));
    }
}
