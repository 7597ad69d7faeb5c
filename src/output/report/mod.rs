//! A finished run as one HTML page: tables with intervals, pictures, the paths of the tail, and where it all comes from.
//!
//! The page needs nothing but itself. Tables are written here; pictures are drawn in the browser by Apache ECharts, which stands
//! in the page whole, from numbers in JSON. Texts from files are escaped (`text::escaped`) wherever they become markup, and in
//! the script they are never markup; the page's own policy (Content-Security-Policy) lets no other script or style in and nothing be
//! fetched.
//!
//! Not in it: daily values of books over all paths, of which a run keeps none (fans of values have the report horizons as their
//! points); statistics that the run did not make.

mod charts;
mod credit;
mod outcomes;
mod prices;
mod sections;
mod tables;
mod tail;
mod text;

use std::fs;
use std::path::Path;

use sha2::Digest;
use sha2::Sha256;

use crate::output::error::OutputError;
use crate::output::manifest::Manifest;
use crate::output::read::DeregistrationRisk;
use crate::output::read::read_attribution;
use crate::output::read::read_credit;
use crate::output::read::read_deregistration_risk;
pub use crate::output::report::outcomes::Outcomes;
pub use crate::output::report::outcomes::WorstPath;
pub use crate::output::report::prices::PriceFan;
pub use crate::output::report::tables::ExitCostLine;
pub use crate::output::report::tables::StressLine;
pub use crate::output::report::tables::read_exit_costs;
pub use crate::output::report::tables::read_stress;
pub use crate::output::report::tail::TailStory;
use crate::output::table_file::place;
use crate::risk::attribution::AttributionRow;
use crate::risk::attribution::PartKind;
use crate::risk::attribution::PartMeasure;
use crate::risk::credit::CreditRow;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::SummaryRow;
use crate::units::SubnetId;

/// Apache ECharts 6.1.0, `dist/echarts.min.js` of the npm package `echarts`, as it is there (licences in NOTICE).
const ECHARTS: &str = include_str!("echarts.min.js");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// Holdings whose prices are drawn.
const PRICES_DRAWN: usize = 6;
/// Characters of the word that scripts of the page carry.
const NONCE_DIGITS: usize = 32;

/// What the page is made of: a run's files about one book, and what was added.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the run was.
    pub manifest: Manifest,
    /// Name of the book.
    pub book: String,
    /// Measures of all books.
    pub summary: Vec<SummaryRow>,
    /// What positions and sectors of the book add.
    pub attribution: Vec<AttributionRow>,
    /// Deregistration of all subnets of the snapshot.
    pub deregistration: Vec<DeregistrationRisk>,
    /// Deregistration of the book's holdings as credit.
    pub credit: Vec<CreditRow>,
    /// What its paths came to.
    pub outcomes: Outcomes,
    /// Prices of its largest holdings.
    pub prices: Vec<PriceFan>,
    /// The worst paths, told.
    pub tail: Vec<TailStory>,
    /// Why they could not be simulated again.
    pub tail_note: Option<String>,
    /// A table of stress scenarios.
    pub stress: Vec<StressLine>,
    /// A table of costs of leaving.
    pub exit_costs: Vec<ExitCostLine>,
}

impl Report {
    /// Reads what the finished run in `directory` says of `book`; `summary`: its measures. Stories and tables of other commands
    /// are added by the caller.
    ///
    /// # Errors
    /// If there is no finished run, or a file of it is missing, damaged or foreign.
    pub fn read(directory: &Path, book: &str, summary: Vec<SummaryRow>) -> Result<Self, OutputError> {
        let manifest = Manifest::read(directory)?.ok_or_else(|| OutputError::NoRun(directory.to_owned()))?;
        let mut attribution = read_attribution(directory)?;
        attribution.retain(|row| row.book == book);
        let mut credit = read_credit(directory)?;
        credit.retain(|row| row.book == book);
        let mut report = Self {
            manifest,
            book: book.to_owned(),
            summary,
            attribution,
            deregistration: read_deregistration_risk(directory)?,
            credit,
            outcomes: Outcomes::default(),
            prices: Vec::new(),
            tail: Vec::new(),
            tail_note: None,
            stress: Vec::new(),
            exit_costs: Vec::new(),
        };
        let opening_tao = report.opening(Basis::Mark, Currency::Tao);
        report.outcomes = outcomes::read(directory, book, opening_tao, &report.horizons())?;
        let held: Vec<(SubnetId, String)> = report.holdings().into_iter().map(|(id, name, _)| (id, name)).collect();
        report.prices = prices::read(directory, &held[..held.len().min(PRICES_DRAWN)])?;
        Ok(report)
    }

    /// The page.
    pub fn html(&self) -> String {
        let content = sections::content(self);
        // Within a script element only `<` can end it.
        let data = charts::data(self).to_string().replace('<', "\\u003c");
        let digest = Sha256::new_with_prefix(&content).chain_update(&data).finalize();
        let nonce: String =
            digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..NONCE_DIGITS].to_owned();
        let title = text::escaped(&format!("{}, {} \u{2013} taorisk", self.book, self.scenario_name()));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'nonce-{nonce}'; \
             style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n{content}\n\
             <script type=\"application/json\" id=\"data\">{data}</script>\n\
             <script nonce=\"{nonce}\">{ECHARTS}</script>\n<script nonce=\"{nonce}\">\n{SCRIPT}</script>\n</body>\n</html>\n"
        )
    }

    /// Writes the page to `path`: beside it first, then renamed, so that it appears whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), OutputError> {
        place(path, |partial| fs::write(partial, self.html()).map_err(OutputError::io("write", path)))
    }

    /// Names of all books, in the run's order.
    pub fn books(summary: &[SummaryRow]) -> Vec<&str> {
        let mut books: Vec<&str> = summary.iter().map(|row| row.book.as_str()).collect();
        books.dedup();
        books
    }

    /// A measure of the book.
    fn find(&self, measure: Measure, level: Option<f64>, column: Column, horizon_days: f64) -> Option<&Estimate> {
        self.find_of(&self.book, measure, level, column, horizon_days)
    }

    fn find_of(
        &self,
        book: &str,
        measure: Measure,
        level: Option<f64>,
        column: Column,
        horizon_days: f64,
    ) -> Option<&Estimate> {
        let matches = |row: &&SummaryRow| {
            row.book == book
                && row.measure == measure
                && (row.level, row.horizon_days) == (level, horizon_days)
                && (row.basis, row.currency) == column
        };
        self.summary.iter().find(matches).map(|row| &row.estimate)
    }

    fn opening(&self, basis: Basis, currency: Currency) -> f64 {
        let found = self.find(Measure::OpeningValue, None, (basis, currency), 0.0);
        found.map_or(f64::NAN, |estimate| estimate.value)
    }

    fn horizons(&self) -> Vec<f64> {
        let of_book = self.summary.iter().filter(|row| row.book == self.book && row.measure == Measure::MeanPnl);
        let mut days: Vec<f64> = of_book.map(|row| row.horizon_days).collect();
        days.dedup();
        days
    }

    fn last_horizon(&self) -> f64 {
        self.horizons().last().copied().unwrap_or(f64::NAN)
    }

    /// Levels of value at risk, ascending.
    fn levels(&self) -> Vec<f64> {
        let tails = self.summary.iter().filter(|row| row.measure == Measure::ValueAtRisk && row.book == self.book);
        let mut levels: Vec<f64> = tails.filter_map(|row| row.level).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels
    }

    fn bases(&self) -> Vec<Basis> {
        let is_there = |basis: &Basis| self.summary.iter().any(|row| row.basis == *basis && row.book == self.book);
        Basis::ALL.into_iter().filter(is_there).collect()
    }

    /// The positions of the book with their opening values (TAO), the largest first.
    fn holdings(&self) -> Vec<(SubnetId, String, f64)> {
        let is_opening = |row: &&AttributionRow| {
            row.measure == PartMeasure::OpeningValue
                && (row.kind, row.basis, row.currency) == (PartKind::Position, Basis::Mark, Currency::Tao)
        };
        let openings = self.attribution.iter().filter(is_opening);
        let mut held: Vec<(SubnetId, String, f64)> =
            openings.filter_map(|row| Some((row.id?, text::printable(&row.name), row.estimate.value))).collect();
        held.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        held
    }

    fn scenario_name(&self) -> &str {
        self.manifest.scenario["run"]["name"].as_str().unwrap_or("unnamed")
    }
}

/// How holdings are valued, in which money.
type Column = (Basis, Currency);

/// Netuid and name of a subnet.
fn subnet_label(id: SubnetId, name: &str) -> String {
    let name = text::printable(name);
    if name.is_empty() { id.netuid.to_string() } else { format!("{} {name}", id.netuid) }
}
