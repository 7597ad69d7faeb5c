//! Probabilities of rare deregistrations on the terminal.

use crate::cli::table;
use crate::cli::table::Style;
use crate::output::rare::RareLevel;
use crate::output::rare::RareResult;
use crate::output::rare::RareSubnet;
use crate::risk::estimate::Z95;

/// Letters of a name.
const NAME_WIDTH: usize = 20;

/// A line for each subnet, then its levels.
pub(super) fn text(result: &RareResult, style: Style) -> String {
    let title = format!("Deregistered within {}, by splitting", table::days_label(result.horizon_days));
    let legend = format!(
        "{} replications of {} particles. Error: standard error over the probability; gain: steps of plain\npaths for the \
         same error over those taken.",
        table::grouped(f64::from(result.replications), 0),
        table::grouped(f64::from(result.particles), 0)
    );
    let head = format!(
        "{:<27}{:>12}{:>24}{:>8}{:>16}{:>11}\n",
        "", "probability", "95 % interval", "error", "subnet-steps", "gain"
    );
    let rows: String = result.subnets.iter().map(row).collect();
    let levels: String = result.subnets.iter().map(|subnet| levels(subnet, style)).collect();
    format!("{}\n{}\n\n{head}{rows}{levels}", style.bold(&title), style.dim(&legend))
}

fn label(subnet: &RareSubnet) -> String {
    let name: String = table::printable(&subnet.name).chars().take(NAME_WIDTH).collect();
    format!("SN{:<4}{name}", subnet.netuid)
}

fn row(subnet: &RareSubnet) -> String {
    let RareSubnet { probability, standard_error, ci_low, ci_high, .. } = *subnet;
    let cells = match () {
        // Of a bound only its upper end says something of the subnet.
        () if subnet.is_bound || probability == 0.0 => [format!("< {ci_high:.1e}"), String::new(), String::new()],
        () => [
            format!("{probability:.2e}"),
            format!("[{ci_low:.2e}, {ci_high:.2e}]"),
            format!("{:.1}%", 100.0 * standard_error / probability),
        ],
    };
    let gain = if subnet.is_bound || !subnet.gain.is_finite() { "-".to_owned() } else { gain(subnet.gain) };
    let steps = table::grouped(subnet.subnet_steps, 0);
    format!(" {:<26}{:>12}{:>24}{:>8}{steps:>16}{gain:>11}\n", label(subnet), cells[0], cells[1], cells[2])
}

fn gain(gain: f64) -> String {
    if gain < 10.0 { format!("{gain:.1}") } else { table::grouped(gain, 0) }
}

fn levels(subnet: &RareSubnet, style: Style) -> String {
    let head =
        style.bold(&format!("Levels of SN{}: distance (standard deviations), part that reached it", subnet.netuid));
    let line = |level: &RareLevel| {
        let place =
            if level.nearness.is_finite() { format!("{:.3}", -level.nearness) } else { "deregistered".to_owned() };
        let half_width = Z95 * level.share_standard_error;
        format!("  {place:<14}{:>6.1}% ± {:.1}%\n", 100.0 * level.share, 100.0 * half_width)
    };
    format!("\n{head}\n{}", subnet.levels.iter().map(line).collect::<String>())
}
