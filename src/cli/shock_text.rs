//! Shocks in words, one line each.

use crate::cli::table::grouped;
use crate::cli::table::printable;
use crate::model::shocks::Choice;
use crate::model::shocks::Effect;
use crate::model::shocks::Seller;
use crate::model::shocks::ShockParams;
use crate::model::shocks::Targets;
use crate::units::NetUid;

/// Targets named before the rest is counted.
const TARGETS_NAMED: usize = 5;

/// What a shock does once it begins.
pub(crate) fn shock_text(shock: &ShockParams) -> String {
    let name = if shock.name.is_empty() { String::new() } else { format!(" {}", printable(&shock.name)) };
    let targets = targets_text(&shock.targets);
    let percent = |change: f64| format!("{:+}%", rounded(100.0 * change));
    let effect = match shock.effect {
        Effect::FlowTao(tao) if tao < 0.0 => format!("{} TAO flow out of {targets}", grouped(-tao, 0)),
        Effect::FlowTao(tao) => format!("{} TAO flow into {targets}", grouped(tao, 0)),
        Effect::PoolFraction(change) => format!("TAO in the pools of {targets} {}", percent(change)),
        Effect::StakeFraction(change) => format!("{}% of the stake in {targets} is sold", rounded(-100.0 * change)),
        Effect::Freeze => format!("new stake is frozen in {targets}"),
        Effect::TaoUsd(change) => format!("TAO/USD {}", percent(change)),
        Effect::CommonFactor(shift) => format!("the common factor of flows {:+} standard deviations", rounded(shift)),
        Effect::CommonJump(size) => format!("a common jump of flows of {:+} scales", rounded(size)),
        Effect::RootStakeTao(tao) if tao < 0.0 => format!("{} TAO leave root", grouped(-tao, 0)),
        Effect::RootStakeTao(tao) => format!("{} TAO go to root", grouped(tao, 0)),
        Effect::RootStakeFraction(change) => format!("root stake {}", percent(change)),
        Effect::Registrations(factor) => format!("the hazard of registrations times {factor}"),
        Effect::Revenue(factor) => format!("revenue of {targets} times {factor}"),
        Effect::Sales(seller, part) => format!("{} sell {}% of their emission", sellers(seller), rounded(100.0 * part)),
    };
    format!("shock{name}: {effect}{}", time_text(shock))
}

fn time_text(shock: &ShockParams) -> String {
    let preposition = if shock.effect.lasts() { "for" } else { "over" };
    match shock.days {
        Some(days) if days >= 2.0 => format!(", {preposition} {} days", rounded(days)),
        Some(days) if days > 0.0 => format!(", {preposition} {} hours", rounded(24.0 * days)),
        None if shock.effect.lasts() => " from now on".to_owned(),
        _ => String::new(),
    }
}

fn sellers(seller: Seller) -> &'static str {
    match seller {
        Seller::Owner => "owners",
        Seller::Miner => "miners",
        Seller::Validator => "validators",
    }
}

fn targets_text(targets: &Targets) -> String {
    let chosen = match &targets.choice {
        Choice::All => "all subnets".to_owned(),
        Choice::Slots(slots) => netuids(slots),
        Choice::Top(count) => format!("the {count} with the largest emission"),
        Choice::NearPrune(count) => format!("the {count} next to be pruned"),
    };
    if targets.except.is_empty() { chosen } else { format!("{chosen} but for {}", netuids(&targets.except)) }
}

fn netuids(slots: &[u16]) -> String {
    let named = slots.iter().take(TARGETS_NAMED).map(|slot| NetUid::from_slot(usize::from(*slot)).to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match slots.len().saturating_sub(TARGETS_NAMED) {
        0 => named,
        others => format!("{named} and {others} others"),
    }
}

/// To four digits after the point, without trailing zeros.
fn rounded(value: f64) -> f64 {
    (1e4 * value).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(effect: Effect, days: Option<f64>, choice: Choice, except: Vec<u16>) -> String {
        let targets = Targets { choice, except };
        let (name, hazard_per_day) = ("a run".to_owned(), None);
        shock_text(&ShockParams { name, day: 3.0, days, hazard_per_day, probability: 1.0, effect, targets })
    }

    #[test]
    fn shocks_read_as_sentences() {
        let spike = text(Effect::FlowTao(2_740.0), Some(0.375), Choice::Slots(vec![63]), vec![]);
        assert_eq!(spike, "shock a run: 2,740 TAO flow into SN64, over 9 hours");
        let unwinding = text(Effect::PoolFraction(-0.33), Some(2.0), Choice::Top(10), vec![3]);
        let expected =
            "shock a run: TAO in the pools of the 10 with the largest emission but for SN4 -33%, over 2 days";
        assert_eq!(unwinding, expected);
        assert_eq!(text(Effect::TaoUsd(-0.6), None, Choice::All, vec![]), "shock a run: TAO/USD -60%");
        let churn = text(Effect::Sales(Seller::Miner, 1.0), None, Choice::All, vec![]);
        assert_eq!(churn, "shock a run: miners sell 100% of their emission from now on");
        let frozen = text(Effect::Freeze, Some(30.0), Choice::Slots((0..8).collect()), vec![]);
        assert_eq!(frozen, "shock a run: new stake is frozen in SN1, SN2, SN3, SN4, SN5 and 3 others, for 30 days");
    }
}
