//! The most likely way to a loss in words and numbers on the terminal.

use std::path::Path;

use crate::cli::table;
use crate::cli::table::Style;
use crate::output::reverse::ReversePosition;
use crate::output::reverse::ReverseResult;
use crate::risk::estimate::Estimate;

/// Columns of labels.
const LABEL_WIDTH: usize = 48;
/// Positions shown.
const POSITIONS_LISTED: usize = 5;

/// The whole text; the overlay follows where it went to no file.
pub(super) fn text(result: &ReverseResult, file: Option<&Path>, style: Style) -> String {
    let loss = table::percent_label(result.loss);
    let title = format!(
        "Book {}: the most likely way to lose {loss} in {}, {}, {}",
        table::printable(&result.book),
        table::days_label(result.horizon_days),
        result.currency,
        result.basis
    );
    let legend = format!(
        "{} paths each; losses in % of the opening value at spot. After ± half the width of the 95 %\nconfidence interval.",
        table::grouped(result.paths as f64, 0)
    );
    let file_text = match file {
        Some(path) => format!("The overlay is {}; {}", path.display(), style.dim("see taorisk run --overlay.")) + "\n",
        None => format!("{}\n{}", style.bold("The overlay (--out FILE writes it)"), result.overlay),
    };
    let heads = [
        style.bold("The shock"),
        style.bold("How likely"),
        style.bold("Mean loss"),
        style.bold("Positions that lose it"),
    ];
    let parts = [shock(result), probabilities(result, &loss), losses(result), positions(result)];
    let blocks: String = heads.into_iter().zip(parts).map(|(head, part)| format!("{head}\n{part}\n")).collect();
    format!("{}\n{}\n\n{blocks}{file_text}", style.bold(&title), style.dim(&legend))
}

fn shock(result: &ReverseResult) -> String {
    let ReverseResult { common_factor_sd, tao_usd_sd, tao_usd_change, .. } = result;
    let deviations = |shift: f64| format!("{shift:+.2} standard deviations");
    let over = format!("over {}", table::days_label(result.window_days));
    let mut text = line(&format!("common factor of flows, {over}"), &deviations(*common_factor_sd));
    let change = format!("{:+.1}% ({})", 100.0 * tao_usd_change, deviations(*tao_usd_sd));
    text += &line(&format!("TAO/USD, {over}"), &change);
    for jump in &result.jumps {
        text += &line(&jump.name, &format!("once, probability {}", small_percent(jump.probability)));
    }
    text
}

fn probabilities(result: &ReverseResult, loss: &str) -> String {
    let [ci_low, ci_high] = result.loss_probability_interval;
    let plain = Estimate::between(result.loss_probability, ci_low, ci_high, result.paths);
    let jumps = if result.jumps.is_empty() { "" } else { ", with the jumps" };
    let mut text = line("distance from the middle", &format!("{:.2} standard deviations", result.distance));
    if !result.jumps.is_empty() {
        text += &line("  with the jumps", &format!("{:.2}", result.distance_with_jumps));
    }
    text += &line(&format!("so far or farther on that side{jumps}"), &small_percent(result.probability));
    text += &line(&format!("  in any direction{jumps}"), &small_percent(result.probability_any_direction));
    text + &line(&format!("losing {loss} or more without the shock"), &table::percent(&plain))
}

fn losses(result: &ReverseResult) -> String {
    let of = |value, error| percent(value, error, result.paths);
    line("without the shock", &of(result.base_loss, result.base_loss_standard_error))
        + &line("with it, on the same chance", &of(result.found_loss, result.found_loss_standard_error))
        + &line("with it, on fresh chance", &of(result.fresh_loss, result.fresh_loss_standard_error))
}

fn positions(result: &ReverseResult) -> String {
    let of = |position: &ReversePosition| {
        let label: String = table::printable(&position.name).chars().take(LABEL_WIDTH - 4).collect();
        line(&label, &percent(position.added_loss, position.added_loss_standard_error, result.paths))
    };
    result.positions.iter().take(POSITIONS_LISTED).map(of).collect()
}

fn percent(value: f64, standard_error: f64, paths: u64) -> String {
    table::with_error(&Estimate::normal(100.0 * value, 100.0 * standard_error, paths), "%")
}

fn line(label: &str, value: &str) -> String {
    format!("  {label:<LABEL_WIDTH$}{value}\n")
}

/// A probability in per cent to two digits, however small.
pub(super) fn small_percent(probability: f64) -> String {
    let percent = 100.0 * probability;
    if percent >= 0.01 {
        let decimals = table::decimals(percent);
        format!("{percent:.decimals$}%")
    } else {
        format!("{percent:.1e}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_probabilities_keep_their_digits() {
        assert_eq!([0.4, 0.0213, 0.000_31, 3.2e-7].map(small_percent), ["40%", "2.1%", "0.031%", "3.2e-5%"]);
    }
}
