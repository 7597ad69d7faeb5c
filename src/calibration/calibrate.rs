//! Everything that a history says of the parameters, in one step.
//!
//! The part of root claims that is sold comes first, from the chain's own books; with it and the other sale fractions,
//! which stay as they are, organic flows are found, and their law. The drift is that under the kind of emission of
//! [`CalibrationOptions::rules_block`]: where the history has none of it, the drift stays as it is too. So it is with
//! entrants, whom root once let earn from the start and no longer does. What is estimated
//! and not used (the drift of TAO/USD, drifts of other kinds) stands among the figures as well.

use crate::calibration::drift;
use crate::calibration::drift::Drift;
use crate::calibration::drift::EmissionKind;
use crate::calibration::entrants;
use crate::calibration::entrants::StartDelay;
use crate::calibration::flow_diagnostics::FlowDiagnostics;
use crate::calibration::flow_law;
use crate::calibration::flow_law::FitError;
use crate::calibration::flow_law::FitOptions;
use crate::calibration::flow_law::SubnetBehaviour;
use crate::calibration::history::History;
use crate::calibration::likelihood;
use crate::calibration::likelihood::Found;
use crate::calibration::organic;
use crate::calibration::organic::DroppedIntervals;
use crate::calibration::organic::OrganicOptions;
use crate::calibration::registration;
use crate::calibration::registration::RegistrationRecord;
use crate::calibration::root_claims;
use crate::calibration::tao_usd;
use crate::model::parameters::Parameter;
use crate::model::params::ModelParams;
use crate::model::uncertainty::LOG_ERROR_MAX;
use crate::model::uncertainty::ParameterLaw;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;
use crate::protocol::calendar;
use crate::protocol::upgrades;

/// First day of TAO/USD that is fitted by default: the launch of subnet tokens.
const TAO_USD_FROM: (i32, u32, u32) = (2025, 2, 13);

/// What to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationOptions {
    /// First block of flows; `None`: 2025-07-01. TAO/USD, which is fitted from 2025-02-13, follows it where it is given.
    pub from_block: Option<u64>,
    /// Last block of all.
    pub to_block: u64,
    /// Block whose kind of emission the drift is of, and whose kind of entrants.
    pub rules_block: u64,
    /// How the flow law is fitted.
    pub fit: FitOptions,
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self { from_block: None, to_block: u64::MAX, rules_block: u64::MAX, fit: FitOptions::default() }
    }
}

/// A parameter as estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its key in a scenario.
    pub key: String,
    /// Estimate.
    pub value: f64,
    /// Standard error of the value.
    pub standard_error: f64,
    /// Value in the parameters that the fit started from.
    pub prior: f64,
    /// How it was estimated.
    pub method: String,
    /// Whether it is among the parameters, rather than being told only.
    pub used: bool,
}

impl Figure {
    /// Distance from the prior value in standard errors.
    pub fn z(&self) -> f64 {
        (self.value - self.prior) / self.standard_error
    }
}

/// Parameters from a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Parameters; those not estimated as given.
    pub model: ModelParams,
    /// Errors of those estimated.
    pub law: ParameterLaw,
    /// Every estimate.
    pub figures: Vec<Figure>,
    /// What is known of single subnets.
    pub subnets: Vec<SubnetBehaviour>,
    /// The flow law against the data.
    pub diagnostics: FlowDiagnostics,
    /// Day (from 1970-01-01) from which days of the panel count.
    pub first_day: i64,
    /// Last day of the panel (from 1970-01-01).
    pub last_day: i64,
    /// Intervals that are no rows.
    pub dropped: DroppedIntervals,
    /// What could not be estimated, and why.
    pub notes: Vec<String>,
}

/// Estimates the parameters; `prior` are those that hold where a history is silent.
///
/// # Errors
/// Where no flow law can be fitted.
pub fn calibrate(
    history: &History,
    prior: &ModelParams,
    options: &CalibrationOptions,
) -> Result<Calibration, FitError> {
    let history = history.until(options.to_block, calendar::day_of_block(options.to_block));
    let mut work = Work::new(prior);
    work.root_claims(&history);
    let mut flows = OrganicOptions { to_block: options.to_block, ..OrganicOptions::new(work.model.sales.clone()) };
    flows.from_block = options.from_block.unwrap_or(flows.from_block);
    let organic = organic::organic_flows(&history, &flows);
    let law = flow_law::fit_flow(&organic.panel, &prior.flow, &options.fit)?;
    work.model.flow = law.params;
    work.block(law.law, "pairs of days and a filter; errors by simulation");
    work.drift(&drift::drifts(&organic), EmissionKind::at_block(options.rules_block));
    work.tao_usd(&history, options.from_block, &drift::common_factor(&organic));
    work.registrations(&history, options.to_block);
    work.entrants(&history, options.rules_block);
    let last_day = organic.panel.rows.iter().map(|row| row.day).max().unwrap_or(0);
    Ok(Calibration {
        model: work.model,
        law: work.law,
        figures: work.figures,
        notes: work.notes,
        subnets: law.subnets,
        diagnostics: law.diagnostics,
        first_day: organic.first_day,
        last_day: organic.first_day + i64::from(last_day),
        dropped: organic.dropped,
    })
}

/// A calibration under way.
struct Work<'a> {
    prior: &'a ModelParams,
    model: ModelParams,
    law: ParameterLaw,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl<'a> Work<'a> {
    fn new(prior: &'a ModelParams) -> Self {
        Self { prior, model: prior.clone(), law: ParameterLaw::default(), figures: Vec::new(), notes: Vec::new() }
    }

    /// Adds parameters that stand in the model already, with the law of their errors, independent of all before.
    /// Errors of what the data say nothing of end where a draw would.
    fn block(&mut self, mut law: ParameterLaw, method: &str) {
        for parameter in law.parameters.iter_mut().filter(|parameter| parameter.scale != Scale::Linear) {
            parameter.standard_error = parameter.standard_error.min(LOG_ERROR_MAX);
        }
        for parameter in &law.parameters {
            let value = value_of(&self.model, &parameter.key);
            self.figures.push(Figure {
                key: parameter.key.clone(),
                value,
                standard_error: likelihood::natural_error(parameter.scale, value, parameter.standard_error),
                prior: value_of(self.prior, &parameter.key),
                method: method.to_owned(),
                used: true,
            });
        }
        append(&mut self.law, law);
    }

    fn found(&mut self, found: Found, method: &str) {
        for (parameter, value) in found.law.parameters.iter().zip(&found.values) {
            named(&parameter.key).set(&mut self.model, *value);
        }
        self.block(found.law, method);
    }

    fn single(&mut self, key: &str, scale: Scale, value: f64, standard_error: f64, method: &str) {
        let on_scale = standard_error / likelihood::natural_error(scale, value, 1.0);
        let parameter = UncertainParameter { key: key.to_owned(), scale, standard_error: on_scale };
        let law = ParameterLaw { parameters: vec![parameter], correlation: vec![vec![1.0]] };
        self.found(Found { values: vec![value], law, log_likelihood: 0.0 }, method);
    }

    /// An estimate that is told and not used.
    fn told(&mut self, key: &str, value: f64, standard_error: f64, method: String) {
        let prior = value_of(self.prior, key);
        self.figures.push(Figure { key: key.to_owned(), value, standard_error, prior, method, used: false });
    }

    fn root_claims(&mut self, history: &History) {
        let rates = organic::chain_rates(history, 0.0);
        match root_claims::root_swap_fraction(history, &rates) {
            Some(claims) => {
                let (key, months) = ("sales.root_swap_fraction", claims.months);
                let method = format!("the chain's flow averages, median of {months} months of subnets");
                self.single(key, Scale::Logit, claims.value, claims.standard_error, &method);
            }
            None => self.notes.push("root claims: too few flow averages; the sold fraction stays as it is".to_owned()),
        }
    }

    /// Sets the drift to that under `kind`, if there is one, and else back to the prior.
    fn drift(&mut self, drifts: &[Drift], kind: EmissionKind) {
        let key = "flow.drift_per_day";
        self.figures.retain(|figure| figure.key != key);
        let fitting = drifts.iter().find(|drift| drift.kind == kind);
        for drift in drifts.iter().filter(|drift| drift.kind != kind) {
            self.told(key, drift.per_day, drift.standard_error, format!("mean under {}; not used", drift.kind.name()));
        }
        remove(&mut self.law, key);
        match fitting {
            Some(drift) => {
                let method = format!("mean of {} rows under {}", drift.rows, kind.name());
                self.single(key, Scale::Linear, drift.per_day, drift.standard_error, &method);
            }
            None => {
                self.model.flow.drift_per_day = self.prior.flow.drift_per_day;
                self.notes.push(format!(
                    "drift: the history has no {} days of {}, the kind in force; it stays as it is",
                    drift::DAYS_MIN,
                    kind.name()
                ));
            }
        }
    }

    fn tao_usd(&mut self, history: &History, from_block: Option<u64>, factor: &[(i64, f64)]) {
        let default = calendar::block_at_midnight(TAO_USD_FROM);
        let from = calendar::day_of_block(from_block.unwrap_or(default));
        let first = history.tao_usd.partition_point(|close| close.day < from);
        let returns = tao_usd::day_returns(&history.tao_usd[first..]);
        let Some(law) = tao_usd::fit_tao_usd(&returns, &self.prior.tao_usd) else {
            let (count, min) = (returns.len(), tao_usd::RETURNS_MIN);
            self.notes
                .push(format!("TAO/USD: {count} returns of one day (at least {min} are needed); it stays as it is"));
            return;
        };
        self.found(law.found, &format!("likelihood of {} returns", law.returns));
        let method = "mean return; not used, a convention of the risk measure";
        self.told("tao_usd.drift_per_day", law.drift_per_day, law.drift_error, method.to_owned());
        let volatility = self.model.tao_usd.volatility_per_sqrt_day;
        match tao_usd::flow_correlation(&returns, factor, volatility) {
            Some(correlation) => {
                let method = format!("{} days with both", correlation.days);
                let (value, error) = (correlation.value, correlation.standard_error);
                self.single("tao_usd.correlation_with_flow", Scale::Linear, value, error, &method);
            }
            None => self.notes.push("TAO/USD: too few days with flows for a correlation; it stays as it is".to_owned()),
        }
    }

    fn registrations(&mut self, history: &History, to_block: u64) {
        let last_seen = history.observations.iter().map(|seen| seen.block).max().unwrap_or(0);
        let last_came = history.registrations.last().map_or(0, |seen| seen.subnet.registered_at);
        let record = RegistrationRecord::new(&history.registrations, last_seen.max(last_came).min(to_block));
        let law = record.and_then(|record| registration::fit_registrations(&record, &self.prior.registration));
        match law {
            Some(law) => self.found(law.found, &format!("survival likelihood of {} registrations", law.registrations)),
            None => {
                let min = registration::REGISTRATIONS_MIN;
                self.notes.push(format!(
                    "registrations: fewer than {min} since deregistrations began, the first with its cost, or no maximum; they stay as \
                     they are"
                ));
            }
        }
    }

    /// Entrants of the kind that comes under the rules of `rules_block`; if there are too few, those of all kinds are told.
    fn entrants(&mut self, history: &History, rules_block: u64) {
        let earns_at_once = upgrades::params_at_block(rules_block).entrants_enabled;
        let all = entrants::start_delays(history);
        let fitting: Vec<StartDelay> =
            all.iter().filter(|delay| delay.earns_at_once == earns_at_once).copied().collect();
        if let Some(found) = entrants::fit_entrants(&fitting, &self.prior.entrants) {
            self.found(found, &format!("likelihood of {} entrants", fitting.len()));
            return;
        }
        let (count, min) = (fitting.len(), entrants::ENTRANTS_MIN);
        let kind = if earns_at_once { "that earn at once" } else { "that wait for root to enable them" };
        self.notes.push(format!("entrants: {count} seen {kind} (at least {min} are needed); they stay as they are"));
        let Some(found) = entrants::fit_entrants(&all, &self.prior.entrants) else { return };
        for (parameter, value) in found.law.parameters.iter().zip(&found.values) {
            let error = likelihood::natural_error(parameter.scale, *value, parameter.standard_error);
            self.told(
                &parameter.key,
                *value,
                error,
                format!("likelihood of {} entrants of other rules; not used", all.len()),
            );
        }
    }
}

fn value_of(model: &ModelParams, key: &str) -> f64 {
    named(key).get(model)
}

fn named(key: &str) -> &'static Parameter {
    Parameter::named(key).expect("estimators know the keys of parameters")
}

/// Adds errors that are independent of those before.
fn append(law: &mut ParameterLaw, added: ParameterLaw) {
    let (before, size) = (law.parameters.len(), added.parameters.len());
    law.correlation.iter_mut().for_each(|row| row.resize(before + size, 0.0));
    for row in added.correlation {
        law.correlation.push([vec![0.0; before], row].concat());
    }
    law.parameters.extend(added.parameters);
}

fn remove(law: &mut ParameterLaw, key: &str) {
    let Some(place) = law.parameters.iter().position(|parameter| parameter.key == key) else { return };
    law.parameters.remove(place);
    law.correlation.remove(place);
    for row in &mut law.correlation {
        row.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(key: &str, correlation: Vec<Vec<f64>>) -> ParameterLaw {
        let parameter =
            |i: usize| UncertainParameter { key: format!("{key}{i}"), scale: Scale::Log, standard_error: 0.1 };
        ParameterLaw { parameters: (0..correlation.len()).map(parameter).collect(), correlation }
    }

    #[test]
    fn laws_stand_beside_each_other() {
        let mut joint = law("a", vec![vec![1.0, 0.5], vec![0.5, 1.0]]);
        append(&mut joint, law("b", vec![vec![1.0]]));
        assert_eq!(joint.correlation, vec![vec![1.0, 0.5, 0.0], vec![0.5, 1.0, 0.0], vec![0.0, 0.0, 1.0]]);
        remove(&mut joint, "a0");
        remove(&mut joint, "c");
        assert_eq!(joint.correlation, vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
        let keys: Vec<&str> = joint.parameters.iter().map(|parameter| parameter.key.as_str()).collect();
        assert_eq!(keys, ["a1", "b0"]);
    }
}
