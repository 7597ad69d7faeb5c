//! Screening and variance decomposition over the law of parameters: the points of a design, each a run on the same chance.

use anyhow::Context;

use crate::cli::error::BadInput;
use crate::cli::sensitivity::Simulate;
use crate::cli::sensitivity::Study;
use crate::cli::sensitivity::Subject;
use crate::cli::sensitivity_inputs::Input;
use crate::output::sensitivity::SensitivityRow;
use crate::risk::design::ScoreLaw;
use crate::risk::design::UNIFORM_WIDTH;
use crate::risk::morris::Trajectory;
use crate::risk::morris::screen;
use crate::risk::sobol::DesignRow;
use crate::risk::sobol::decompose;

/// Score of a normal law beyond which nothing is checked before the study.
const NORMAL_REACH: f64 = 3.0;

/// Values of a parameter near the ends of its law, which it must have.
pub(super) fn ends(input: &Input) -> Result<[f64; 2], BadInput> {
    let refuse = |problem: &str| BadInput(format!("--keys {}: {problem}", input.key));
    let law = input.law.ok_or_else(|| refuse("of unknown error: say how far it may go, KEY=LOW..HIGH"))?;
    let reach = match law.score {
        ScoreLaw::Normal => NORMAL_REACH,
        ScoreLaw::Uniform => 0.5 * UNIFORM_WIDTH,
    };
    let [low, high] = [-reach, reach].map(|score| input.value_at(score));
    if low == high { Err(refuse("stays where it is on the scale of its error")) } else { Ok([low, high]) }
}

/// Mean and spread of elementary effects of each parameter.
pub(super) fn morris(study: &Study, count: u32, simulate: &Simulate<'_>) -> anyhow::Result<Vec<SensitivityRow>> {
    let laws = laws(study)?;
    let trajectories: Vec<_> = (0..count).map(|number| Trajectory::draw(&laws, study.design_seed, number)).collect();
    let outcomes = trajectories.iter().map(|trajectory| evaluate(study, &trajectory.points, simulate));
    let found = screen(&trajectories, &outcomes.collect::<anyhow::Result<Vec<_>>>()?);
    let rows = study.inputs.iter().zip(found).flat_map(|(input, found)| {
        let statistics = [("mu_star", found.mu_star), ("mu", found.mu), ("sigma", found.sigma)];
        statistics.map(|(name, found)| study.row("morris", study.measure, Subject::Parameter(input), name, &found))
    });
    Ok(rows.collect())
}

/// Parts of the variance of the measure that each parameter has.
pub(super) fn sobol(study: &Study, count: u32, simulate: &Simulate<'_>) -> anyhow::Result<Vec<SensitivityRow>> {
    let laws = laws(study)?;
    let points = |number| DesignRow::draw(&laws, study.design_seed, number).points().collect::<Vec<_>>();
    let outcomes = (0..count).map(|number| evaluate(study, &points(number), simulate));
    let found = decompose(&outcomes.collect::<anyhow::Result<Vec<_>>>()?);
    let of_book = [
        Some(("mean", found.mean)),
        Some(("standard_deviation", found.standard_deviation)),
        found.first_sum.map(|sum| ("first_order_sum", sum)),
    ];
    let of_book = of_book.into_iter().flatten();
    let of_book = of_book.map(|(name, found)| study.row("sobol", study.measure, Subject::Book, name, &found));
    let of_inputs = study.inputs.iter().zip(&found.inputs).flat_map(|(input, found)| {
        let statistics = [("first_order", &found.first), ("total", &found.total)];
        statistics.map(|(name, found)| study.row("sobol", study.measure, Subject::Parameter(input), name, found))
    });
    Ok(of_book.chain(of_inputs).collect())
}

fn laws(study: &Study) -> Result<Vec<ScoreLaw>, BadInput> {
    if study.inputs.is_empty() {
        return Err(BadInput("no parameter to move: [uncertainty] has none; name some with --keys".to_owned()));
    }
    Ok(study.inputs.iter().filter_map(|input| Some(input.law?.score)).collect())
}

/// The measure at each point.
fn evaluate(study: &Study, points: &[Vec<f64>], simulate: &Simulate<'_>) -> anyhow::Result<Vec<f64>> {
    let at = |scores: &Vec<f64>| {
        let values: Vec<(&Input, f64)> =
            study.inputs.iter().zip(scores).map(|(input, &score)| (input, input.value_at(score))).collect();
        let place =
            || values.iter().map(|(input, value)| format!("{} = {value}", input.key)).collect::<Vec<_>>().join(", ");
        let outcome = study.bench.with(&values).and_then(|scenario| simulate(&scenario)).with_context(place)?;
        Ok(study.measured(&outcome))
    };
    points.iter().map(at).collect()
}
