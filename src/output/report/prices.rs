//! Prices of some subnets for the page: quantiles by horizon, and the first sampled paths.

use std::path::Path;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::RecordBatch;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;

use crate::output::error::OutputError;
use crate::output::read::read_batches;
use crate::output::schema::QUANTILES;
use crate::output::schema::SAMPLES;
use crate::risk::estimate::Estimate;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SubnetId;

/// Paths drawn.
const TRACKS: u64 = 5;

/// The price of one subnet.
#[derive(Clone, Debug)]
pub struct PriceFan {
    /// Which.
    pub id: SubnetId,
    /// Its name.
    pub name: String,
    /// Quantiles among paths on which it is alive.
    pub quantiles: Vec<PriceQuantile>,
    /// Sampled paths: days from the start and price, until it is deregistered.
    pub tracks: Vec<Track>,
}

/// A quantile of the price.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuantile {
    /// Days from the start.
    pub horizon_days: f64,
    /// Its probability.
    pub probability: f64,
    /// Spot price (TAO per alpha).
    pub price: Estimate,
}

/// The price on one path.
#[derive(Clone, Debug)]
pub struct Track {
    path: u64,
    /// Days from the start, price (TAO per alpha).
    pub points: Vec<(f64, f64)>,
}

/// Columns of a batch.
struct Rows<'a>(&'a RecordBatch);

impl Rows<'_> {
    fn f64(&self, name: &str, row: usize) -> f64 {
        self.column(name).as_primitive::<Float64Type>().value(row)
    }

    fn u64(&self, name: &str, row: usize) -> u64 {
        self.column(name).as_primitive::<UInt64Type>().value(row)
    }

    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).expect("a column of the schema").as_ref()
    }

    /// Which of `fans` a row is about.
    fn fan(&self, row: usize, fans: &[PriceFan]) -> Option<usize> {
        let netuid = self.column("netuid").as_primitive::<UInt32Type>().value(row);
        let registered_at = self.u64("registered_at", row);
        fans.iter().position(|fan| u32::from(fan.id.netuid.0) == netuid && fan.id.registered_at == registered_at)
    }
}

/// The prices of `subnets`, in that order.
///
/// # Errors
/// As [`read_batches`].
pub(super) fn read(directory: &Path, subnets: &[(SubnetId, String)]) -> Result<Vec<PriceFan>, OutputError> {
    let fan = |(id, name): &(SubnetId, String)| PriceFan {
        id: *id,
        name: name.clone(),
        quantiles: Vec::new(),
        tracks: Vec::new(),
    };
    let mut fans: Vec<PriceFan> = subnets.iter().map(fan).collect();
    read_batches(directory, &QUANTILES, |batch| {
        let metrics = batch.column_by_name("metric").expect("a column of the schema").as_string::<i32>();
        let values = batch.column_by_name("value").expect("a column of the schema");
        for row in (0..batch.num_rows()).filter(|&row| metrics.value(row) == "price" && values.is_valid(row)) {
            push_quantile(&Rows(batch), row, &mut fans);
        }
        Ok(())
    })?;
    let mut start = None;
    read_batches(directory, &SAMPLES, |batch| {
        let rows = Rows(batch);
        for row in 0..batch.num_rows() {
            let first = *start.get_or_insert_with(|| rows.u64("block", row));
            push_sample(&rows, row, first, &mut fans);
        }
        Ok(())
    })?;
    Ok(fans)
}

fn push_quantile(rows: &Rows<'_>, row: usize, fans: &mut [PriceFan]) {
    let Some(index) = rows.fan(row, fans) else { return };
    let price = Estimate {
        value: rows.f64("value", row),
        standard_error: rows.f64("standard_error", row),
        ci_low: rows.f64("ci_low", row),
        ci_high: rows.f64("ci_high", row),
        samples: rows.u64("samples", row),
    };
    let (horizon_days, probability) = (rows.f64("horizon_days", row), rows.f64("probability", row));
    fans[index].quantiles.push(PriceQuantile { horizon_days, probability, price });
}

fn push_sample(rows: &Rows<'_>, row: usize, start: u64, fans: &mut [PriceFan]) {
    let path = rows.u64("path", row);
    let Some(index) = rows.fan(row, fans) else { return };
    let tracks = &mut fans[index].tracks;
    if tracks.last().is_none_or(|track| track.path != path) {
        if tracks.len() as u64 == TRACKS {
            return;
        }
        tracks.push(Track { path, points: Vec::new() });
    }
    let days = (rows.u64("block", row) - start) as f64 / BLOCKS_PER_DAY as f64;
    let track = tracks.last_mut().expect("the track of this path");
    track.points.push((days, rows.f64("price", row)));
}
