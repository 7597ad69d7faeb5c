//! The section `[measures]`: which further measures of books a run takes.

use serde::Deserialize;
use serde::Serialize;

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::position::Book;
use crate::risk::further::MeasureSettings;

/// Aversions lie below it: beyond, all weight lies on a handful of paths.
const AVERSION_MAX: f64 = 500.0;
/// Return periods (horizons) lie below it.
const RETURN_PERIOD_MAX: f64 = 1e9;

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeasuresSection {
    pub spectral_aversions: Vec<f64>,
    pub entropic_aversions: Vec<f64>,
    pub ruin_fraction: f64,
    pub return_periods: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<String>,
}

/// The book whose positions are candidates for the others, if any. `policies`: what each of `books` does.
pub(super) fn candidates(
    checks: &Checks<'_>,
    books: &[Book],
    policies: &[Option<BookPolicy>],
) -> Result<Option<usize>, ConfigError> {
    let Some(name) = &checks.file.measures.candidates else { return Ok(None) };
    let holds = |(book, policy): &(&Book, &Option<BookPolicy>)| !book.positions.is_empty() && policy.is_none();
    let held: Vec<_> = books.iter().zip(policies).filter(holds).map(|(book, _)| book.name.as_str()).collect();
    let found = books.iter().position(|book| book.name == *name && held.contains(&book.name.as_str()));
    match found {
        Some(book) if books.len() > 1 => Ok(Some(book)),
        Some(_) => Err(checks.refuse(
            "measures.candidates",
            format!("{name:?}"),
            "one of two or more books: nothing is added to itself",
        )),
        None => Err(checks.refuse(
            "measures.candidates",
            format!("{name:?}"),
            format!("a book that holds: one of {}", held.join(", ")),
        )),
    }
}

/// The section, checked; lists ascend.
pub(super) fn measure_settings(checks: &Checks<'_>) -> Result<MeasureSettings, ConfigError> {
    let section = &checks.file.measures;
    let fraction = section.ruin_fraction;
    let aversions = |key, values| checks.levels(key, values, 0.0, AVERSION_MAX);
    let is_allowed = fraction > 0.0 && fraction <= 1.0;
    Ok(MeasureSettings {
        spectral_aversions: aversions("measures.spectral_aversions", &section.spectral_aversions)?,
        entropic_aversions: aversions("measures.entropic_aversions", &section.entropic_aversions)?,
        ruin_fraction: checks.number("measures.ruin_fraction", fraction, is_allowed, "above 0 and at most 1")?,
        // One in two horizons and more often is no tail, and would keep half of all paths.
        return_periods: checks.levels("measures.return_periods", &section.return_periods, 2.0, RETURN_PERIOD_MAX)?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::scenario::Overrides;
    use crate::config::scenario::Scenario;

    fn load(text: &str) -> Result<Scenario, String> {
        let text = format!("[measures]\n{text}\n");
        Scenario::from_text("my.toml", &text, Path::new(""), &Overrides::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_no_measure_has_is_refused() {
        for (text, message) in [
            ("ruin_fraction = 0", "measures.ruin_fraction = 0 (must be above 0 and at most 1) in my.toml:2"),
            ("ruin_fraction = nan", "measures.ruin_fraction = NaN (must be above 0 and at most 1) in my.toml:2"),
            ("return_periods = [2]", "measures.return_periods = 2 (must be above 2 and below 1000000000) in my.toml:2"),
            (
                "entropic_aversions = [0]",
                "measures.entropic_aversions = 0 (must be above 0 and below 500) in my.toml:2",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), message);
        }
    }

    #[test]
    fn candidates_are_a_book_that_holds() {
        let policy = "[[policies]]\nname = \"out\"\nkind = \"stop\"\nstop_loss = 0.3\n";
        assert_eq!(load(&format!("candidates = \"main\"\n{policy}")).unwrap().candidates, Some(0));
        assert_eq!(load("").unwrap().candidates, None);
        for (text, message) in [
            (
                "candidates = \"watch\"".to_owned(),
                "measures.candidates = \"watch\" (must be a book that holds: one of main) in my.toml:2",
            ),
            (
                format!("candidates = \"out\"\n{policy}"),
                "measures.candidates = \"out\" (must be a book that holds: one of main) in my.toml:2",
            ),
            (
                "candidates = \"main\"".to_owned(),
                "measures.candidates = \"main\" (must be one of two or more books: nothing is added to itself) in my.toml:2",
            ),
        ] {
            assert_eq!(load(&text).unwrap_err(), message);
        }
    }

    #[test]
    fn lists_ascend_and_may_be_empty() {
        let measures = load("spectral_aversions = []\nreturn_periods = [50, 20]").unwrap().measures;
        assert!(measures.spectral_aversions.is_empty());
        assert_eq!(measures.return_periods, [20.0, 50.0]);
        assert_eq!(measures.entropic_aversions, [1.0, 5.0]);
        assert!((measures.confidence_min() - 0.95).abs() < 1e-15);
    }
}
