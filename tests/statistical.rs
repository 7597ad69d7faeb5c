//! Samplers have the right law.
//!
//! Seeds are literals. Distributions: Kolmogorov-Smirnov with `1.95 / sqrt(n)` (chance failure 1e-3). Means: four
//! standard errors (6e-5).

use rand_distr::Distribution;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;
use taorisk::rng::Address;
use taorisk::rng::AddressedRng;
use taorisk::rng::GROUP_SLOTS;
use taorisk::rng::Purpose;
use taorisk::rng::SLOT_NORMALS;
use taorisk::rng::exponential;
use taorisk::rng::group_normals;
use taorisk::rng::group_words;
use taorisk::rng::normals4;
use taorisk::rng::open_unit;
use taorisk::rng::slot_normals;
use taorisk::rng::words;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::LANES;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;

const SEED: u64 = 20_250_601;
const SLOTS: u32 = 128;
const STEPS: u32 = 8192;

/// Three normals in the order of steps, then slots: `n = STEPS * SLOTS`, a little over 1e6.
type Draws = [Vec<f64>; SLOT_NORMALS];

struct Fill {
    seed: u64,
    path: u32,
    steps: u32,
}

impl Kernel for Fill {
    type Output = Draws;

    #[inline(always)]
    fn run<V: Vector>(self) -> Draws {
        let mut draws = [const { Vec::new() }; SLOT_NORMALS];
        for step in 0..self.steps {
            for first_slot in (0..SLOTS).step_by(GROUP_SLOTS) {
                let words = group_words::<V>(self.seed, self.path, step, Purpose::SlotNormals, first_slot);
                for (column, words) in draws.iter_mut().zip(words) {
                    for normals in group_normals::<V>(words) {
                        let mut row = [0.0; 2 * LANES];
                        V::store_singles(normals, &mut row);
                        column.extend(row.map(f64::from));
                    }
                }
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
    for (i, column) in draws(0).into_iter().enumerate() {
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
    let all: Vec<f64> = draws(1).concat();
    for threshold in [3.0, 4.0, 5.0] {
        let p = 2.0 * Normal::standard().cdf(-threshold);
        let indicators = all.iter().map(|x| f64::from(u8::from(x.abs() > threshold)));
        assert_mean(indicators, p, (p * (1.0 - p)).sqrt(), &format!("beyond {threshold}"));
    }
}

#[test]
fn normals_are_independent() {
    let normals = draws(2);
    let other_path = draws(3);
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
        // Two of one pair are half a group apart.
        for apart in [LANES, GROUP_SLOTS / 2] {
            assert_uncorrelated(column, &column[apart..], &format!("normal {i} of slots {apart} apart"));
            assert_uncorrelated(&squares[i], &squares[i][apart..], &format!("squares of normal {i}, {apart} apart"));
        }
        assert_uncorrelated(column, &other_path[i], &format!("normal {i} of consecutive paths"));
    }
}

#[test]
fn vector_draws_are_the_scalar_ones() {
    for backend in Backend::available() {
        let normals = dispatch(backend, Fill { seed: u64::MAX - 6, path: u32::MAX, steps: 64 });
        for i in 0..normals[0].len() {
            let (step, slot) = (i as u32 / SLOTS, i as u32 % SLOTS);
            let expected = slot_normals(u64::MAX - 6, u32::MAX, step, Purpose::SlotNormals, slot);
            let found = normals.each_ref().map(|column| column[i].to_bits());
            assert_eq!(found, expected.map(f64::to_bits), "step {step} slot {slot} {backend}");
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
