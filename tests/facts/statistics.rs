//! The facts of a panel of subnet days, by one piece of code for observed and simulated ones.

use std::collections::BTreeMap;

/// Rows that a subnet needs to enter a statistic per subnet.
const ROWS_MIN: usize = 60;
const LAGS: [u32; 7] = [1, 2, 3, 5, 10, 20, 40];

/// One day of one subnet.
#[derive(Clone, Copy, Debug)]
pub struct SubnetDay {
    pub subnet: (u16, u64),
    pub day: u32,
    pub age_days: f64,
    /// Pool reserve a day before (TAO).
    pub pool_tao: f64,
    /// Net TAO that entered by trades since.
    pub flow_tao: f64,
    pub log_price_change: f64,
}

impl SubnetDay {
    pub fn is_counted(&self) -> bool {
        self.pool_tao > 100.0 && self.age_days > 14.0
    }

    pub fn ratio(&self) -> f64 {
        self.flow_tao / self.pool_tao
    }

    pub fn flow(&self) -> f64 {
        self.ratio().ln_1p()
    }
}

/// The facts of a panel, in the order of the table.
pub fn facts(panel: &[SubnetDay]) -> Vec<f64> {
    let mut rows: Vec<SubnetDay> = panel.iter().copied().filter(SubnetDay::is_counted).collect();
    rows.sort_by_key(|row| (row.subnet, row.day));
    rows.dedup_by_key(|row| (row.subnet, row.day));
    let subnets: Vec<&[SubnetDay]> = rows.chunk_by(|a, b| a.subnet == b.subnet).collect();
    let long: Vec<&[SubnetDay]> = subnets.iter().copied().filter(|days| days.len() >= ROWS_MIN).collect();
    let flows: Vec<f64> = rows.iter().map(SubnetDay::flow).collect();
    let ratios = sorted(rows.iter().map(SubnetDay::ratio));
    let changes: Vec<f64> = rows.iter().map(|row| row.log_price_change).collect();
    let spreads = sorted(long.iter().map(|days| deviation(days.iter().map(|row| row.log_price_change))));
    let slopes = slopes(&rows);
    let mut found = vec![deviation(flows.iter().copied()), quantile(&ratios, 0.01), quantile(&ratios, 0.99)];
    found.extend([ratios[0], ratios[ratios.len() - 1], excess_kurtosis(&changes)]);
    found.extend([hill(changes.iter().map(|change| -change)), hill(changes.iter().copied())]);
    found.extend([0.05, 0.5, 0.95].map(|level| quantile(&spreads, level)));
    found.extend(slopes);
    let size_free =
        |row: &SubnetDay| row.flow().abs().ln() - slopes[0] * row.pool_tao.ln() - slopes[1] * row.age_days.ln();
    found.extend(LAGS.map(|lag| autocorrelation(&subnets, lag, size_free)));
    found.extend([
        autocorrelation(&subnets, 1, SubnetDay::flow),
        deviation(months(&subnets)) / (30.0_f64.sqrt() * found[0]),
    ]);
    found.extend(common_part(&long));
    found.push(quantile(&sorted(long.iter().map(|days| maximum_drawdown(days))), 0.5));
    found
}

pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Linear between order statistics.
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level * (sorted.len() - 1) as f64;
    let below = position as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

pub fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (n, sum) = values.clone().fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    let mean = sum / n;
    (mean, values.fold(0.0, |sum, value| sum + (value - mean).powi(2)) / n)
}

fn deviation(values: impl IntoIterator<Item = f64, IntoIter: Clone>) -> f64 {
    moments(values.into_iter()).1.sqrt()
}

fn excess_kurtosis(values: &[f64]) -> f64 {
    let (mean, variance) = moments(values.iter().copied());
    let fourth = values.iter().map(|value| (value - mean).powi(4)).sum::<f64>() / values.len() as f64;
    fourth / (variance * variance) - 3.0
}

/// Hill's estimate of the tail index from the largest 1 %.
fn hill(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    let tail = values.len() / 100;
    let threshold = values[values.len() - 1 - tail];
    tail as f64 / values[values.len() - tail..].iter().map(|value| (value / threshold).ln()).sum::<f64>()
}

/// Slopes of ln |f| on ln pool and ln age by least squares; days without flow have no logarithm.
fn slopes(rows: &[SubnetDay]) -> [f64; 2] {
    let points: Vec<[f64; 3]> = rows
        .iter()
        .filter(|row| row.flow_tao != 0.0)
        .map(|row| [row.pool_tao.ln(), row.age_days.ln(), row.flow().abs().ln()])
        .collect();
    let n = points.len() as f64;
    let mean = [0, 1, 2].map(|i| points.iter().map(|point| point[i]).sum::<f64>() / n);
    let product = |i: usize, j: usize| points.iter().map(|p| (p[i] - mean[i]) * (p[j] - mean[j])).sum::<f64>();
    let (size, both, age) = (product(0, 0), product(0, 1), product(1, 1));
    let (by_size, by_age) = (product(0, 2), product(1, 2));
    let determinant = size * age - both * both;
    [(age * by_size - both * by_age) / determinant, (size * by_age - both * by_size) / determinant]
}

/// Autocorrelation within subnets over `lag` days, each subnet's mean taken out.
fn autocorrelation(subnets: &[&[SubnetDay]], lag: u32, of: impl Fn(&SubnetDay) -> f64) -> f64 {
    let (mut products, mut pairs, mut squares, mut days) = (0.0, 0.0, 0.0, 0.0);
    for rows in subnets {
        let values: BTreeMap<u32, f64> =
            rows.iter().filter(|row| row.flow_tao != 0.0).map(|row| (row.day, of(row))).collect();
        let mean = values.values().sum::<f64>() / values.len() as f64;
        for (day, value) in &values {
            squares += (value - mean).powi(2);
            days += 1.0;
            if let Some(later) = values.get(&(day + lag)) {
                products += (value - mean) * (later - mean);
                pairs += 1.0;
            }
        }
    }
    (products / pairs) / (squares / days)
}

/// Sums of f over 30 rows of a subnet, one after the other.
fn months(subnets: &[&[SubnetDay]]) -> Vec<f64> {
    let months = subnets.iter().flat_map(|rows| rows.chunks_exact(30));
    months.map(|rows| rows.iter().map(SubnetDay::flow).sum()).collect()
}

/// Mean pair correlation of f over common days, and the part of the first component.
fn common_part(subnets: &[&[SubnetDay]]) -> [f64; 2] {
    let n = subnets.len();
    let days = subnets.iter().flat_map(|rows| rows.iter().map(|row| row.day as usize + 1)).max().unwrap_or(0);
    let mut flows = vec![f64::NAN; n * days];
    for (index, rows) in subnets.iter().enumerate() {
        rows.iter().for_each(|row| flows[index * days + row.day as usize] = row.flow());
    }
    let mut matrix = vec![1.0; n * n];
    let (mut sum, mut pairs) = (0.0, 0.0);
    for i in 0..n {
        for j in 0..i {
            let common = correlation(&flows[i * days..][..days], &flows[j * days..][..days]);
            (matrix[i * n + j], matrix[j * n + i]) = (common.unwrap_or(0.0), common.unwrap_or(0.0));
            sum += common.unwrap_or(0.0);
            pairs += if common.is_some() { 1.0 } else { 0.0 };
        }
    }
    [sum / pairs, largest_eigenvalue(&matrix, n) / n as f64]
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let mut sums = [0.0; 6];
    for (a, b) in a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan()) {
        for (sum, term) in sums.iter_mut().zip([1.0, *a, *b, a * a, b * b, a * b]) {
            *sum += term;
        }
    }
    let [n, a, b, aa, bb, ab] = sums;
    (n >= ROWS_MIN as f64).then(|| (ab - a * b / n) / ((aa - a * a / n) * (bb - b * b / n)).sqrt())
}

fn largest_eigenvalue(matrix: &[f64], n: usize) -> f64 {
    let mut vector = vec![1.0 / (n as f64).sqrt(); n];
    let mut value = 0.0;
    for _ in 0..50 {
        let image: Vec<f64> =
            matrix.chunks_exact(n).map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum()).collect();
        value = image.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector = image.into_iter().map(|x| x / value).collect();
    }
    value
}

fn maximum_drawdown(rows: &[SubnetDay]) -> f64 {
    let (mut level, mut peak, mut worst) = (0.0_f64, 0.0_f64, 0.0_f64);
    for row in rows {
        level += row.log_price_change;
        peak = peak.max(level);
        worst = worst.min((level - peak).exp_m1());
    }
    worst
}
