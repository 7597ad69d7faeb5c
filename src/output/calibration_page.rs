//! A calibration as one HTML page: estimates, and pictures of the data beside the fit, drawn as SVG.

use std::fmt::Write;

use crate::calibration::calibrate::Calibration;
use crate::calibration::flow_diagnostics::Figure;
use crate::output::calibration::Provenance;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
/// Space left of, below, right of and above the drawing (pixels).
const MARGINS: [f64; 4] = [64.0, 46.0, 16.0, 16.0];
/// Standard deviations of a simulated panel that are shaded around the fit.
const BAND: f64 = 2.0;
/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
table{border-collapse:collapse;font-size:13px}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}figure{display:inline-block;margin:0 1rem 1.5rem 0}\
figcaption{font-size:14px;max-width:32rem}svg text{font:12px system-ui,sans-serif;fill:#333}.told{color:#777}";

/// The page; nothing outside it is needed to look at it.
pub fn page(calibration: &Calibration, provenance: &Provenance) -> String {
    let [from, to] = &provenance.flows;
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Calibration of {from} to {to}</title>\n\
         <style>{STYLE}</style>\n<h1>Calibration</h1>\n<p>Flows from {from} to {to}: {} rows, {} subnets, {} days. Program \
         version {}.</p>\n",
        provenance.rows,
        provenance.subnets,
        provenance.days,
        escaped(&provenance.program_version),
    );
    push_inputs(&mut html, provenance);
    push_estimates(&mut html, calibration);
    push_pictures(&mut html, calibration);
    html.push_str("</html>\n");
    html
}

fn push_inputs(html: &mut String, provenance: &Provenance) {
    html.push_str("<ul>\n");
    for input in &provenance.inputs {
        let _ = writeln!(
            html,
            "<li>{}: {} <code>{}</code></li>",
            input.role,
            escaped(&input.file),
            input.sha256.get(..16).unwrap_or_default()
        );
    }
    for note in &provenance.notes {
        let _ = writeln!(html, "<li>{}</li>", escaped(note));
    }
    html.push_str("</ul>\n");
}

fn push_estimates(html: &mut String, calibration: &Calibration) {
    html.push_str(
        "<h2>Estimates</h2>\n<p>z: distance from the default in standard errors. Grey: told, not used.</p>\n<table>\n\
         <tr><th>key</th><th>estimate</th><th>standard error</th><th>default</th><th>z</th><th>method</th></tr>\n",
    );
    for figure in &calibration.figures {
        let _ = writeln!(
            html,
            "<tr{}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td></tr>",
            if figure.used { "" } else { " class=\"told\"" },
            figure.key,
            short(figure.value),
            short(figure.standard_error),
            short(figure.prior),
            figure.z(),
            escaped(&figure.method),
        );
    }
    html.push_str("</table>\n");
}

fn push_pictures(html: &mut String, calibration: &Calibration) {
    let seen = &calibration.diagnostics;
    let days: Vec<String> = seen.common_jump_days.iter().map(u32::to_string).collect();
    let days = if days.is_empty() { "none".to_owned() } else { days.join(", ") };
    let _ = write!(
        html,
        "<h2>Data beside the fit</h2>\n<p>Points: the data. Line and band: mean of panels simulated under the fit, and {BAND} \
         standard deviations of one of them. Days taken for common jumps (counted from the first): {days}.</p>\n"
    );
    let quantiles: Vec<Figure> =
        seen.residual_quantiles.iter().map(|figure| Figure { at: figure.fitted, ..*figure }).collect();
    let pictures = [
        (
            Picture {
                caption: "Quantiles of flows over their expected size (Q-Q)",
                x: "simulated",
                y: "data",
                logs: [false, false],
            },
            &quantiles,
        ),
        (
            Picture {
                caption: "Autocorrelation of the log size of flows within subnets",
                x: "lag (days)",
                y: "correlation",
                logs: [true, false],
            },
            &seen.autocorrelations,
        ),
        (
            Picture {
                caption: "Mean size of flows against the pool",
                x: "reserve (TAO)",
                y: "per root of a day",
                logs: [true, true],
            },
            &seen.scale_by_size,
        ),
        (
            Picture {
                caption: "Mean size of flows against age",
                x: "age (days)",
                y: "per root of a day",
                logs: [true, true],
            },
            &seen.scale_by_age,
        ),
    ];
    for (picture, figures) in pictures {
        let _ = writeln!(html, "<figure>{}<figcaption>{}</figcaption></figure>", picture.svg(figures), picture.caption);
    }
}

/// A picture of figures over their places.
struct Picture {
    caption: &'static str,
    x: &'static str,
    y: &'static str,
    /// Whether the axes are logarithmic.
    logs: [bool; 2],
}

impl Picture {
    fn svg(&self, figures: &[Figure]) -> String {
        let is_shown = |figure: &&Figure| {
            let fits = |log: bool, value: f64| value.is_finite() && (!log || value > 0.0);
            fits(self.logs[0], figure.at)
                && [figure.data, figure.fitted].into_iter().all(|value| fits(self.logs[1], value))
        };
        let figures: Vec<&Figure> = figures.iter().filter(is_shown).collect();
        if figures.len() < 2 {
            return "<p>too few figures</p>".to_owned();
        }
        let [left, below, right, above] = MARGINS;
        let low = |figure: &Figure| figure.fitted - BAND * figure.fitted_sd;
        let high = |figure: &Figure| figure.fitted + BAND * figure.fitted_sd;
        let ends = figures.iter().flat_map(|figure| [figure.data, low(figure), high(figure)]);
        let x = Axis::new(self.logs[0], figures.iter().map(|figure| figure.at), left, WIDTH - right);
        let y = Axis::new(self.logs[1], ends.filter(|end| !self.logs[1] || *end > 0.0), HEIGHT - below, above);
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">");
        self.push_axes(&mut svg, &x, &y);
        let place = |figure: &Figure, value: f64| format!("{:.1},{:.1}", x.place(figure.at), y.place(value));
        let edge = figures.iter().map(|figure| place(figure, high(figure)));
        let back = figures.iter().rev().map(|figure| place(figure, low(figure)));
        let band: Vec<String> = edge.chain(back).collect();
        let line: Vec<String> = figures.iter().map(|figure| place(figure, figure.fitted)).collect();
        let _ = write!(
            svg,
            "<polygon points=\"{}\" fill=\"#9ecae1\" opacity=\"0.5\"/><polyline points=\"{}\" fill=\"none\" stroke=\"#2171b5\"/>",
            band.join(" "),
            line.join(" ")
        );
        for figure in &figures {
            let (cx, cy) = (x.place(figure.at), y.place(figure.data));
            let _ = write!(svg, "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3.5\" fill=\"#cb181d\"/>");
        }
        svg + "</svg>"
    }

    fn push_axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let ([left, below, right, above], bottom) = (MARGINS, HEIGHT - MARGINS[1]);
        for tick in x.ticks() {
            let at = x.place(tick);
            let _ = write!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"{above}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#e5e5e5\"/><text x=\"{at:.1}\" \
                 y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                short(tick)
            );
        }
        for tick in y.ticks() {
            let at = y.place(tick);
            let _ = write!(
                svg,
                "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#e5e5e5\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                WIDTH - right,
                left - 6.0,
                at + 4.0,
                short(tick)
            );
        }
        let (middle_x, middle_y) = (0.5 * (left + WIDTH - right), 0.5 * (above + bottom));
        let _ = write!(
            svg,
            "<text x=\"{middle_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text transform=\"translate(14 {middle_y:.1}) \
             rotate(-90)\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 0.2 * below,
            self.x,
            self.y
        );
    }
}

/// From values to pixels.
struct Axis {
    log: bool,
    /// Ends of the values, in logs where it is logarithmic.
    ends: [f64; 2],
    pixels: [f64; 2],
}

impl Axis {
    fn new(log: bool, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let scaled = values.map(|value| if log { value.ln() } else { value });
        let (low, high) = scaled.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let room = 0.04 * (high - low).max(1e-12);
        Self { log, ends: [low - room, high + room], pixels: [from, to] }
    }

    /// Pixel of a value; below the axis where a logarithm has none.
    fn place(&self, value: f64) -> f64 {
        let [low, high] = self.ends;
        let scaled = match self.log {
            true if value > 0.0 => value.ln().max(low),
            true => low,
            false => value,
        };
        self.pixels[0] + (scaled - low) / (high - low) * (self.pixels[1] - self.pixels[0])
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let [low, high] = self.ends;
        let rough = (high - low) / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    /// 1, 2 and 5 times powers of ten.
    fn log_ticks(&self) -> Vec<f64> {
        let [low, high] = self.ends.map(f64::exp);
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let ticks = (first..=last).flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
        ticks.filter(|tick| (low..=high).contains(tick)).collect()
    }
}

/// A number in few digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || size >= 1e3 => format!("{value:.0}"),
        size if size >= 1e-4 => {
            let decimals = (3.0 - size.log10().ceil()).max(0.0) as usize;
            let text = format!("{value:.decimals$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => format!("{value:.1e}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.01783, 3.0, 12_345.6, -0.5, 1e-7, 517.3].map(short);
        assert_eq!(texts, ["0", "0.0178", "3", "12346", "-0.5", "1.0e-7", "517"]);
    }

    #[test]
    fn axes_have_round_ticks() {
        let axis = Axis::new(false, [0.0, 1.0].into_iter(), 0.0, 100.0);
        assert_eq!(axis.ticks(), [0.0, 0.5, 1.0].map(|tick: f64| tick).to_vec());
        let axis = Axis::new(true, [90.0, 2_300.0].into_iter(), 0.0, 100.0);
        let ticks = axis.ticks();
        assert_eq!(ticks, [100.0, 200.0, 500.0, 1_000.0, 2_000.0]);
        assert!(axis.place(100.0) > 0.0 && axis.place(2_000.0) < 100.0 && axis.place(-1.0) == 0.0);
    }
}
