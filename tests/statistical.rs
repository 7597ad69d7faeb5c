//! Samplers have the right law.
//!
//! Seeds are literals. Distributions: Kolmogorov-Smirnov with `1.95 / sqrt(n)` (chance failure 1e-3). Means: four
//! standard errors (6e-5).

use rand_distr::Distribution;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;
use taorisk::rng::Address;
use taorisk::rng::AddressedRng;
use taorisk::rng::Purpose;
use taorisk::rng::SlotDraws;
use taorisk::rng::exponential;
use taorisk::rng::normals4;
use taorisk::rng::open_unit;
use taorisk::rng::slot_draws;
use taorisk::rng::slot_draws_scalar;
use taorisk::rng::words;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::LANES;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;

const SEED: u64 = 20_250_601;
const SLOTS: u32 = 128;
const STEPS: u32 = 8192;

/// Draws in the order of steps, then slots: `n = STEPS * SLOTS`, a little over 1e6.
struct Draws {
    normals: [Vec<f64>; 3],
    residues: Vec<u32>,
}

struct Fill {
    seed: u64,
    path: u32,
    steps: u32,
}

impl Kernel for Fill {
    type Output = Draws;

    #[inline(always)]
    fn run<V: Vector>(self) -> Draws {
        let mut draws = Draws { normals: [vec![], vec![], vec![]], residues: vec![] };
        for step in 0..self.steps {
            for first_slot in (0..SLOTS).step_by(LANES) {
                let SlotDraws { normals, residue } =
                    slot_draws::<V>(self.seed, self.path, step, Purpose::SlotNormals, first_slot);
                for (column, lanes) in draws.normals.iter_mut().zip(normals) {
                    column.extend(lanes.to_array());
                }
                draws.residues.extend(residue);
            }
        }
        draws
    }
}

fn draws(path: u32) -> Draws {
    dispatch(Backend::detect(), Fill { seed: SEED, path, steps: STEPS })
}

fn assert_law(mut sample: Vec<f64>, name: &str, cdf: impl Fn(f64) -> f64) {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let distance = sample.iter().enumerate().fold(0.0, |largest: f64, (i, &x)| {
        let below = cdf(x);
        largest.max((i as f64 + 1.0) / n - below).max(below - i as f64 / n)
    });
    let bound = 1.95 / n.sqrt();
    println!("{name}: KS distance {distance:.2e}, bound {bound:.2e}");
    assert!(distance < bound, "{name}: KS distance {distance} over {bound}");
}

/// The mean of `sample` is `truth`, given the standard deviation of one draw.
fn assert_mean(sample: impl ExactSizeIterator<Item = f64>, truth: f64, deviation: f64, name: &str) {
    let n = sample.len() as f64;
    let (mean, error) = (sample.sum::<f64>() / n, deviation / n.sqrt());
    println!("{name}: {:.2} standard errors off", (mean - truth) / error);
    assert!((mean - truth).abs() < 4.0 * error, "{name}: mean {mean}, expected {truth} +- {error}");
}

fn assert_uncorrelated(left: &[f64], right: &[f64], name: &str) {
    let products: Vec<f64> = left.iter().zip(right).map(|(x, y)| x * y).collect();
    assert_mean(products.into_iter(), 0.0, 1.0, name);
}

fn normal_cdf() -> impl Fn(f64) -> f64 {
    let law = Normal::standard();
    move |x| law.cdf(x)
}

/// n = 1e6: a shift of 0.6 % of a standard deviation fails in 98 of 100.
#[test]
fn normals_follow_the_normal_law() {
    for (i, column) in draws(0).normals.into_iter().enumerate() {
        let mean = |power: i32, truth, deviation, name: &str| {
            assert_mean(column.iter().map(|x| x.powi(power)), truth, deviation, &format!("normal {i}, {name}"));
        };
        mean(1, 0.0, 1.0, "mean");
        mean(2, 1.0, 2.0_f64.sqrt(), "variance");
        mean(3, 0.0, 15.0_f64.sqrt(), "third moment");
        mean(4, 3.0, 96.0_f64.sqrt(), "fourth moment");
        assert_law(column.clone(), &format!("normal {i}"), normal_cdf());
    }
}

/// Catches a radius with too few bits: of 3.1e6 draws, 1.8 lie beyond 5 standard deviations.
#[test]
fn tails_have_their_weight() {
    let all: Vec<f64> = draws(1).normals.concat();
    for threshold in [3.0, 4.0, 5.0] {
        let p = 2.0 * Normal::standard().cdf(-threshold);
        let indicators = all.iter().map(|x| f64::from(u8::from(x.abs() > threshold)));
        assert_mean(indicators, p, (p * (1.0 - p)).sqrt(), &format!("beyond {threshold}"));
    }
}

#[test]
fn normals_are_independent() {
    let Draws { normals, .. } = draws(2);
    let other_path = draws(3).normals;
    let squares =
        normals.each_ref().map(|column| column.iter().map(|x| (x * x - 1.0) / 2.0_f64.sqrt()).collect::<Vec<_>>());
    for (i, j) in [(0, 1), (0, 2), (1, 2)] {
        assert_uncorrelated(&normals[i], &normals[j], &format!("normals {i} and {j}"));
        assert_uncorrelated(&squares[i], &squares[j], &format!("squares of normals {i} and {j}"));
    }
    for (i, column) in normals.iter().enumerate() {
        let step = SLOTS as usize;
        assert_uncorrelated(column, &column[1..], &format!("normal {i} of neighbouring slots"));
        assert_uncorrelated(column, &column[step..], &format!("normal {i} of consecutive steps"));
        assert_uncorrelated(column, &other_path[i], &format!("normal {i} of consecutive paths"));
    }
}

/// Chi-square of 16 equally likely cells of a normal against 16 of the residue: 255 degrees of freedom, whose statistic
/// has mean 255 and variance 510. Catches residue bits that also feed a radius or an angle.
#[test]
fn residues_are_independent_of_the_normals() {
    let Draws { normals, residues } = draws(4);
    let cdf = normal_cdf();
    let n = residues.len() as f64;
    for (i, column) in normals.iter().enumerate() {
        for shift in [4, 12, 20, 28] {
            let mut counts = [[0.0; 16]; 16];
            for (x, residue) in column.iter().zip(&residues) {
                let row = ((cdf(*x) * 16.0) as usize).min(15);
                counts[row][(residue >> shift & 15) as usize] += 1.0;
            }
            let expected = n / 256.0;
            let statistic: f64 = counts.as_flattened().iter().map(|count| (count - expected).powi(2) / expected).sum();
            println!("normal {i}, residue bits from {shift}: chi-square {statistic:.1} of 255");
            assert!((statistic - 255.0).abs() < 4.0 * 510.0_f64.sqrt(), "normal {i}, bits {shift}: {statistic}");
        }
    }
    assert_law(residues.into_iter().map(open_unit).collect(), "residue", |x| x);
}

#[test]
fn vector_draws_are_the_scalar_ones() {
    for backend in Backend::available() {
        let Draws { normals, residues } = dispatch(backend, Fill { seed: u64::MAX - 6, path: u32::MAX, steps: 64 });
        for (i, &residue) in residues.iter().enumerate() {
            let (step, slot) = (i as u32 / SLOTS, i as u32 % SLOTS);
            let address = Address { path: u32::MAX, step, slot, purpose: Purpose::SlotNormals, index: 0 };
            let expected = slot_draws_scalar(u64::MAX - 6, address);
            let found = normals.each_ref().map(|column| column[i].to_bits());
            assert_eq!(
                (found, residue),
                (expected.0.map(f64::to_bits), expected.1),
                "step {step} slot {slot} {backend}"
            );
        }
    }
}

fn address(step: u32, purpose: Purpose) -> Address {
    Address { path: 0, step, slot: 0, purpose, index: 0 }
}

#[test]
fn global_normals_follow_the_normal_law() {
    let blocks: Vec<[f64; 4]> =
        (0..250_000).map(|step| normals4(words(SEED, address(step, Purpose::GlobalNormals)))).collect();
    assert_law(blocks.concat(), "global normals", normal_cdf());
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| blocks.iter().map(|block| block[i]).collect::<Vec<_>>());
    assert_uncorrelated(&c, &d, "global normals 2 and 3");
    assert_uncorrelated(&a, &d, "global normals 0 and 3");
    assert_uncorrelated(&b, &d, "global normals 1 and 3");
}

#[test]
fn waiting_times_are_exponential() {
    let times =
        (0..1_000_000).map(|step| exponential(open_unit(words(SEED, address(step, Purpose::RegistrationClock))[0])));
    assert_law(times.collect(), "exponential", |x| -(-x).exp_m1());
}

/// Catches words used twice or skipped: each address serves several draws of a rejection sampler.
#[test]
fn addressed_generators_serve_distributions() {
    let sample = |law: &dyn Fn(&mut AddressedRng) -> f64| -> Vec<f64> {
        (0..50_000)
            .flat_map(|step| {
                let mut rng = AddressedRng::new(SEED, address(step, Purpose::Entrant));
                [law(&mut rng), law(&mut rng), law(&mut rng), law(&mut rng)]
            })
            .collect()
    };
    let normal = sample(&|rng| rand_distr::StandardNormal.sample(rng));
    assert_uncorrelated(&normal, &normal[1..], "consecutive normals of one address");
    assert_law(normal, "normal of rand_distr", normal_cdf());
    let gamma = rand_distr::Gamma::new(2.5, 1.0).expect("positive shape");
    let law = statrs::distribution::Gamma::new(2.5, 1.0).expect("positive shape");
    assert_law(sample(&|rng| gamma.sample(rng)), "gamma", |x| law.cdf(x));
}

#[test]
fn addressed_generators_walk_the_index() {
    use rand::Rng;
    let start = address(7, Purpose::Incumbent);
    let mut rng = AddressedRng::new(SEED, start);
    let walked: Vec<u32> = (0..8).map(|_| rng.next_u32()).collect();
    let blocks = [words(SEED, start), words(SEED, Address { index: 1, ..start })];
    assert_eq!(walked, blocks.concat());
}
