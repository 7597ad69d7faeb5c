//! The parameter file that a scenario names, and the law of its parameters' errors, checked.

use std::path::Path;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::config::layers::Content;
use crate::config::layers::Layer;
use crate::input::document::Document;
use crate::model::parameters::Parameter;
use crate::model::uncertainty;
use crate::model::uncertainty::LOG_ERROR_MAX;
use crate::model::uncertainty::ParameterLaw;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;

/// The word for no parameter file.
pub(super) const NONE: &str = "none";
/// How far a correlation matrix may be from symmetric, and its diagonal from 1: what rounding in a file leaves.
const TOLERANCE: f64 = 1e-9;
/// Most paths of a replicate.
const REPLICATE_PATHS_MAX: u64 = 1_000_000;

/// Paths that share their parameters, and the law that these are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Replication {
    /// Paths of a replicate, at least 2.
    pub paths: u64,
    /// Errors of the parameters around the scenario's.
    pub law: ParameterLaw,
}

/// The parameter file that a scenario names, if it names one.
pub(super) struct ParameterFile {
    pub document: Document,
    text: String,
}

impl ParameterFile {
    /// Reads the file at `path`, which the key or flag `origin` names.
    pub fn open(path: PathBuf, origin: &str) -> Result<Self, ConfigError> {
        let refuse = |problem: &dyn std::fmt::Display| ConfigError::Value {
            key: "input.parameters".to_owned(),
            value: format!("{:?}", path.display().to_string()),
            allowed: format!("a file with parameters, or {NONE:?}; {problem}"),
            origin: origin.to_owned(),
        };
        let document = Document::open(&path).map_err(|error| {
            let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            refuse(&reason)
        })?;
        let text = String::from_utf8(document.bytes.to_vec()).map_err(|_| refuse(&"this one is no UTF-8 text"))?;
        Ok(Self { document, text })
    }

    /// What it sets.
    pub fn layer(&self) -> Layer<'_> {
        Layer { name: &self.document.name, text: &self.text, content: Content::Parameters }
    }
}

/// Where the parameter file lies that a scenario in `directory` names; `None` if it names none.
pub(super) fn parameter_path(named: &str, directory: &Path) -> Option<PathBuf> {
    (!named.is_empty() && named != NONE).then(|| directory.join(named))
}

/// How paths share parameters where they are drawn from `law`.
pub(super) fn replication(checks: &Checks<'_>, law: &ParameterLaw) -> Result<Option<Replication>, ConfigError> {
    let paths = checked!(checks.whole(run.paths_per_replicate, 2, REPLICATE_PATHS_MAX));
    Ok(checks.file.run.parameter_uncertainty.then(|| Replication { paths, law: law.clone() }))
}

/// The law that `[uncertainty]` states.
pub(super) fn parameter_law(checks: &Checks<'_>) -> Result<ParameterLaw, ConfigError> {
    let mut parameters: Vec<UncertainParameter> = Vec::new();
    for (index, section) in checks.file.uncertainty.parameters.iter().enumerate() {
        let place = |name: &str| format!("uncertainty.parameters[{index}].{name}");
        let key = section.key.clone();
        if Parameter::named(&key).is_none() {
            return Err(checks.refuse(
                &place("key"),
                format!("{key:?}"),
                "the key of a parameter, such as flow.scale_median",
            ));
        }
        if parameters.iter().any(|other| other.key == key) {
            return Err(checks.refuse(&place("key"), format!("{key:?}"), "named once; it stands there twice"));
        }
        let scale = Scale::ALL.into_iter().find(|scale| scale.name() == section.scale);
        let scale = scale.ok_or_else(|| {
            let allowed = "\"linear\", \"log\" or \"logit\"";
            checks.refuse(&place("scale"), format!("{:?}", section.scale), allowed)
        })?;
        let error = section.standard_error;
        let standard_error = match scale {
            Scale::Linear => checks.positive(&place("standard_error"), error)?,
            Scale::Log | Scale::Logit => {
                let allowed = format!("above 0 and at most {LOG_ERROR_MAX} on a {} scale", scale.name());
                checks.number(&place("standard_error"), error, error > 0.0 && error <= LOG_ERROR_MAX, &allowed)?
            }
        };
        check_scale(checks, index, &key, scale)?;
        parameters.push(UncertainParameter { key, scale, standard_error });
    }
    with_correlation(checks, parameters)
}

/// A value that has no place on its scale has no law either.
fn check_scale(checks: &Checks<'_>, index: usize, key: &str, scale: Scale) -> Result<(), ConfigError> {
    let range = Parameter::named(key).map(|parameter| parameter.range.bounds());
    let fits = match (scale, range) {
        (Scale::Linear, _) => true,
        (Scale::Log, Some((least, _))) => least >= 0.0,
        // Loadings may be negative, and are estimated as what they mostly are: parts of one.
        (Scale::Logit, Some((least, most))) => least <= 0.0 && most == 1.0,
        (_, None) => false,
    };
    if fits {
        return Ok(());
    }
    let allowed = match scale {
        Scale::Logit => format!("\"linear\" or \"log\": {key} is no fraction"),
        _ => format!("\"linear\": {key} may be negative"),
    };
    Err(checks.refuse(&format!("uncertainty.parameters[{index}].scale"), format!("{:?}", scale.name()), allowed))
}

fn with_correlation(checks: &Checks<'_>, parameters: Vec<UncertainParameter>) -> Result<ParameterLaw, ConfigError> {
    let rows = &checks.file.uncertainty.correlation;
    let size = parameters.len();
    if rows.is_empty() {
        return Ok(ParameterLaw::independent(parameters));
    }
    let refuse = |value: String, allowed: &str| Err(checks.refuse("uncertainty.correlation", value, allowed));
    if rows.len() != size || rows.iter().any(|row| row.len() != size) {
        let found = format!("{} rows of {} numbers", rows.len(), rows[0].len());
        return refuse(found, &format!("[] or {size} rows of {size} numbers, one for each parameter"));
    }
    for (i, row) in rows.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            let expected = if i == j { 1.0 } else { rows[j][i] };
            if !((value - expected).abs() <= TOLERANCE) {
                return refuse(
                    format!("{value} in row {}, column {}", i + 1, j + 1),
                    "symmetric, with ones on the diagonal",
                );
            }
        }
    }
    if uncertainty::cholesky(rows).is_none() {
        return refuse("a matrix of no law".to_owned(), "positive definite");
    }
    Ok(ParameterLaw { parameters, correlation: rows.clone() })
}
