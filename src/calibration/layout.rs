//! What of a panel stays the same when its flows are simulated anew: days, pools, ages, and who stands beside whom.

use std::ops::Range;

use crate::calibration::panel::FlowPanel;
use crate::calibration::panel::FlowRow;
use crate::model::params::FlowParams;
use crate::simd::math;

/// Distances of the pairs of days that the law of volatility is fitted to (days).
pub(crate) const LAGS: [u32; 8] = [1, 2, 3, 5, 10, 20, 40, 80];

/// Size of a pool that the flow scale refers to (TAO).
const REFERENCE_RESERVE_TAO: f64 = 5_000.0;
/// Age that the flow scale refers to (days).
const REFERENCE_AGE_DAYS: f64 = 200.0;

/// A row's place in the flow law.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub subnet: usize,
    pub day: usize,
    /// Length (days).
    pub days: f64,
    pub root_days: f64,
    /// Time since the end of the subnet's row before (days).
    pub elapsed: f64,
    /// `ln(max(reserve, floor) / 5000)`, `ln(max(age, floor) / 200)`.
    pub size: f64,
    pub age: f64,
}

/// The rows of a panel by subnet, by day and in pairs.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub places: Vec<Place>,
    pub subnets: Vec<Range<usize>>,
    /// Rows of each day.
    pub days: Vec<Vec<usize>>,
    /// Pairs of rows of one subnet at each of [`LAGS`].
    pub pairs: Vec<Vec<[usize; 2]>>,
    /// Means of size and age over the rows.
    pub center: [f64; 2],
}

impl Layout {
    /// The layout of a panel whose rows go by subnet, then day.
    pub fn new(panel: &FlowPanel, floors: &FlowParams) -> Self {
        let mut places: Vec<Place> = panel.rows.iter().map(|row| place(row, floors)).collect();
        let mut subnets = Vec::new();
        let mut first = 0;
        for rows in panel.by_subnet() {
            for i in first + 1..first + rows.len() {
                let gap = (places[i].day - places[i - 1].day) as f64;
                places[i].elapsed = (gap - 1.0).max(0.0) + places[i].days;
            }
            subnets.push(first..first + rows.len());
            first += rows.len();
        }
        let mut days = vec![Vec::new(); places.iter().map(|place| place.day + 1).max().unwrap_or(0)];
        places.iter().enumerate().for_each(|(row, place)| days[place.day].push(row));
        let pairs = LAGS.iter().map(|&lag| pairs(&places, &subnets, lag as usize)).collect();
        let mean = |of: fn(&Place) -> f64| places.iter().map(of).sum::<f64>() / places.len() as f64;
        let center = [mean(|place| place.size), mean(|place| place.age)];
        Self { places, subnets, days, pairs, center }
    }

    /// Number of days with a row.
    pub fn days_seen(&self) -> usize {
        self.days.iter().filter(|rows| !rows.is_empty()).count()
    }
}

fn place(row: &FlowRow, floors: &FlowParams) -> Place {
    Place {
        subnet: row.subnet as usize,
        day: row.day as usize,
        days: row.days,
        root_days: row.days.sqrt(),
        elapsed: row.days,
        size: math::ln(row.reserve_tao.max(floors.reserve_floor_tao) / REFERENCE_RESERVE_TAO),
        age: math::ln(row.age_days.max(floors.age_floor_days) / REFERENCE_AGE_DAYS),
    }
}

fn pairs(places: &[Place], subnets: &[Range<usize>], lag: usize) -> Vec<[usize; 2]> {
    let mut found = Vec::new();
    for rows in subnets {
        let mut later = rows.start;
        for earlier in rows.clone() {
            while later < rows.end && places[later].day < places[earlier].day + lag {
                later += 1;
            }
            if later < rows.end && places[later].day == places[earlier].day + lag {
                found.push([earlier, later]);
            }
        }
    }
    found
}
