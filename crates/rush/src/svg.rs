//! A picture of a sale over time: who waits and who is active, the seats, and the requests; drawn by hand.

use crate::{clock::float, crowd::CrowdResult, meter::Sample};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 24.0;
const PANEL: f64 = 170.0;
const GAP: f64 = 72.0;
const TOP: f64 = 92.0;

const BLUE: &str = "#1f77b4";
const ORANGE: &str = "#d95f02";
const GREEN: &str = "#1b9e77";
const GREY: &str = "#9aa3ad";
const RED: &str = "#c0392b";

#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// The unit of the vertical axis.
    pub(crate) name: &'static str,
    pub(crate) curves: Vec<Curve>,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Line,
    /// With the area below it filled.
    Area,
    Dashes,
}

#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) name: &'static str,
    pub(crate) colour: &'static str,
    /// Its style.
    pub(crate) style: Style,
    /// Seconds and values, in order of time.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Picture {
    /// The picture of a sale.
    pub(crate) fn of(outcome: &CrowdResult) -> Self {
        let options = &outcome.options;
        let samples = &outcome.measured.samples;
        let over_time = |get: fn(&Sample) -> f64| -> Vec<(f64, f64)> {
            samples.iter().map(|sample| (crate::clock::seconds(sample.at), get(sample))).collect()
        };
        let counted = |get: fn(&crate::meter::Second) -> u64| -> Vec<(f64, f64)> {
            let seconds = outcome.measured.seconds.iter();
            (0_u32..).zip(seconds).map(|(second, counts)| (f64::from(second) + 0.5, float(get(counts)))).collect()
        };
        let line = |name, colour, style, points| Curve { name, colour, style, points };
        Self {
            title: format!("Sale of concert {}: {}", outcome.concert.0, outcome.concert.1),
            subtitle: format!(
                "{} buyers, arrivals {}, seed {}; {} seats sold in {:.1} s; {}",
                options.buyers,
                options.arrivals,
                options.seed,
                outcome.seats.sold,
                outcome.took.as_secs_f64(),
                if crate::report::is_clean(outcome) { "audit clean" } else { "AUDIT FAILED" }
            ),
            panels: vec![
                Panel {
                    name: "people in line",
                    curves: vec![line("waiting", BLUE, Style::Area, over_time(|sample| count(sample.waiting)))],
                },
                Panel {
                    name: "active tokens",
                    curves: vec![
                        line("active", GREEN, Style::Area, over_time(|sample| count(sample.active))),
                        line("open turns", ORANGE, Style::Line, over_time(|sample| count(sample.offered))),
                        line("cap", RED, Style::Dashes, over_time(|sample| count(sample.max_active))),
                    ],
                },
                Panel {
                    name: "seats",
                    curves: vec![
                        line("sold", GREEN, Style::Area, over_time(|sample| float(sample.seats.sold))),
                        line("held", ORANGE, Style::Line, over_time(|sample| float(sample.seats.held))),
                        line("free", GREY, Style::Line, over_time(|sample| float(sample.seats.available))),
                    ],
                },
                Panel {
                    name: "in each second",
                    curves: vec![
                        line("requests", BLUE, Style::Line, counted(|second| second.requests)),
                        line("refused", RED, Style::Line, counted(|second| second.refused)),
                        line("seats held", ORANGE, Style::Line, counted(|second| second.holds)),
                        line("seats paid", GREEN, Style::Line, counted(|second| second.sold)),
                    ],
                },
            ],
        }
    }
}

fn count(number: i64) -> f64 {
    float(u64::try_from(number).unwrap_or(0))
}

/// Draws a picture as SVG.
pub(crate) fn draw(picture: &Picture) -> String {
    let panels = u32::try_from(picture.panels.len()).unwrap_or(0);
    let height = f64::from(panels).mul_add(PANEL + GAP, TOP) - GAP + 52.0;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_picture(&mut out, picture, height);
    out
}

fn write_picture(out: &mut String, picture: &Picture, height: f64) -> std::fmt::Result {
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="{}">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="{LEFT}" y="30" font-size="18" font-weight="600" fill="#1b1f23">{}</text>
<text x="{LEFT}" y="50" fill="#57606a">{}</text>"##,
        escaped(&picture.title),
        escaped(&picture.title),
        escaped(&picture.subtitle)
    )?;
    let points = picture.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.points);
    let longest = points.map(|(second, _)| *second).fold(1.0, f64::max);
    let mut top = TOP;
    for panel in &picture.panels {
        write_panel(out, panel, top, longest)?;
        top += PANEL + GAP;
    }
    writeln!(
        out,
        r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="#57606a">seconds since the sale opened</text>
</svg>"##,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        height - 12.0
    )
}

fn write_panel(out: &mut String, panel: &Panel, top: f64, longest: f64) -> std::fmt::Result {
    let step = nice_step(panel_max(panel), 4.0);
    let ceiling = (panel_max(panel) / step).ceil().max(1.0) * step;
    let bottom = top + PANEL;
    let x = |second: f64| (second / longest).mul_add(WIDTH - LEFT - RIGHT, LEFT);
    let y = |value: f64| bottom - value / ceiling * PANEL;

    writeln!(
        out,
        r##"<text x="{LEFT}" y="{:.1}" font-weight="600" fill="#1b1f23">{}</text>"##,
        top - 12.0,
        panel.name
    )?;
    let mut legend = LEFT + 130.0;
    for curve in &panel.curves {
        let dashes = if curve.style == Style::Dashes { r#" stroke-dasharray="5 4""# } else { "" };
        writeln!(
            out,
            r##"<line x1="{legend:.1}" y1="{0:.1}" x2="{1:.1}" y2="{0:.1}" stroke="{2}" stroke-width="3"{dashes}/><text x="{3:.1}" y="{4:.1}" fill="#1b1f23">{5}</text>"##,
            top - 16.0,
            legend + 18.0,
            curve.colour,
            legend + 24.0,
            top - 12.0,
            curve.name
        )?;
        legend += 110.0;
    }
    let mut value = 0.0;
    while value <= ceiling {
        writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{0:.1}" x2="{1:.1}" y2="{0:.1}" stroke="#e5e8eb"/><text x="{2:.1}" y="{3:.1}" text-anchor="end" fill="#57606a">{value}</text>"##,
            y(value),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.0
        )?;
        value += step;
    }
    let step = nice_step(longest, 10.0);
    let mut second = 0.0;
    while second <= longest {
        writeln!(
            out,
            r##"<line x1="{0:.1}" y1="{bottom:.1}" x2="{0:.1}" y2="{1:.1}" stroke="#57606a"/><text x="{0:.1}" y="{2:.1}" text-anchor="middle" fill="#57606a">{second}</text>"##,
            x(second),
            bottom + 4.0,
            bottom + 18.0
        )?;
        second += step;
    }
    for curve in &panel.curves {
        write_curve(out, curve, &x, &y)?;
    }
    writeln!(
        out,
        r##"<polyline points="{LEFT},{top:.1} {LEFT},{bottom:.1} {:.1},{bottom:.1}" fill="none" stroke="#57606a"/>"##,
        WIDTH - RIGHT
    )
}

fn panel_max(panel: &Panel) -> f64 {
    panel.curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| *value).fold(1.0, f64::max)
}

fn write_curve(out: &mut String, curve: &Curve, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> std::fmt::Result {
    let (Some((first, _)), Some((last, _))) = (curve.points.first(), curve.points.last()) else { return Ok(()) };
    let line: Vec<String> =
        curve.points.iter().map(|(second, value)| format!("{:.1},{:.1}", x(*second), y(*value))).collect();
    let line = line.join(" ");
    let colour = curve.colour;
    if curve.style == Style::Area {
        let (from, until, zero) = (x(*first), x(*last), y(0.0));
        writeln!(
            out,
            r#"<polygon points="{from:.1},{zero:.1} {line} {until:.1},{zero:.1}" fill="{colour}" fill-opacity="0.18"/>"#
        )?;
    }
    let dashes = if curve.style == Style::Dashes { r#" stroke-dasharray="5 4""# } else { "" };
    writeln!(
        out,
        r#"<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"{dashes}/>"#
    )
}

/// A step of 1, 2 or 5 times a power of ten that divides `most` into about `parts`; at least 1.
fn nice_step(most: f64, parts: f64) -> f64 {
    let rough = (most / parts).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough).unwrap_or(10.0 * power)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let points = vec![(0.0, 0.0), (10.0, 90.0), (20.0, 30.0)];
        let curve = Curve { name: "waiting", colour: BLUE, style: Style::Area, points };
        Picture {
            title: "A <sale> & more".to_owned(),
            subtitle: String::new(),
            panels: vec![Panel { name: "people", curves: vec![curve.clone()] }, Panel { name: "none", curves: vec![] }],
        }
    }

    #[test]
    fn a_picture_has_axes_a_legend_and_its_curves_within_the_frame() {
        let svg = draw(&picture());
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("A &lt;sale&gt; &amp; more"));
        assert!(svg.contains(">waiting</text>"));
        assert!(svg.contains("seconds since the sale opened"));
        let line = svg.split(r#"<polyline points=""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        for point in line.split(' ') {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
            assert!((TOP..=TOP + PANEL).contains(&y), "{point}");
        }
    }

    #[test]
    fn every_element_is_closed() {
        let svg = draw(&picture());
        for name in ["svg", "text"] {
            let opened = svg.matches(&format!("<{name} ")).count();
            assert_eq!(opened, svg.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn steps_are_round_numbers() {
        assert!((nice_step(90.0, 4.0) - 50.0).abs() < 1e-9);
        assert!((nice_step(7.0, 4.0) - 2.0).abs() < 1e-9);
        assert!((nice_step(0.0, 4.0) - 1.0).abs() < 1e-9);
    }
}
