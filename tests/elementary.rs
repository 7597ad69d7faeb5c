//! The elementary functions are accurate, and every backend gives the bits of the scalar twin.

use std::io::Read;
use std::num::Wrapping;

use flate2::read::GzDecoder;
use taorisk::rng::Purpose;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::LANES;
use taorisk::simd::Lanes;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;
use taorisk::simd::math;
use taorisk::simd::single;

/// Lines of name, argument, result rounded correctly (bits of both) and the rest of the exact result in units of its
/// last place. Made with mpmath 1.4.1 at 60 digits (380 for tiny arguments): random arguments over the whole range,
/// small ones, and those at the borders of the reduction intervals.
const REFERENCE: &[u8] = include_bytes!("reference/elementary.txt.gz");

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Exp,
    ExpM1,
    Ln,
    Ln1p,
    PowThird,
}

const FUNCTIONS: [Function; 5] = [Function::Exp, Function::ExpM1, Function::Ln, Function::Ln1p, Function::PowThird];

impl Function {
    #[inline(always)]
    fn apply<L: Lanes>(self, x: L) -> L {
        match self {
            Self::Exp => math::exp(x),
            Self::ExpM1 => math::exp_m1(x),
            Self::Ln => math::ln(x),
            Self::Ln1p => math::ln_1p(x),
            Self::PowThird => math::pow(x, L::splat(1.0 / 3.0)),
        }
    }

    fn on(self, backend: Backend, values: &[f64]) -> Vec<f64> {
        dispatch(backend, Apply { function: self, values })
    }
}

struct Apply<'a> {
    function: Function,
    values: &'a [f64],
}

impl Kernel for Apply<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f64> {
        let mut results = Vec::with_capacity(self.values.len() + LANES);
        for chunk in self.values.chunks(LANES) {
            let mut lanes = [0.0; LANES];
            lanes[..chunk.len()].copy_from_slice(chunk);
            results.extend(self.function.apply(V::load(&lanes)).to_array());
        }
        results.truncate(self.values.len());
        results
    }
}

/// A number's bits; all NaN alike, since their signs and payloads differ between instruction sets.
fn canonical(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn reference() -> String {
    let mut text = String::new();
    GzDecoder::new(REFERENCE).read_to_string(&mut text).expect("the reference file is compressed text");
    text
}

/// Largest error in units of the last place, and its argument.
fn largest_error(function: Function, name: &str) -> (f64, f64) {
    let mut largest = (0.0, f64::NAN);
    let mut count = 0;
    for line in reference().lines() {
        let mut fields = line.split(' ');
        if fields.next() != Some(name) {
            continue;
        }
        let mut number = || f64::from_bits(u64::from_str_radix(fields.next().unwrap(), 16).unwrap());
        let (x, rounded) = (number(), number());
        let rest: f64 = fields.next().unwrap().parse().unwrap();
        let ulp = rounded.abs().next_up() - rounded.abs();
        let error = ((function.apply(x) - rounded) / ulp - rest).abs();
        if error > largest.0 || error.is_nan() {
            largest = (error, x);
        }
        count += 1;
    }
    assert!(count >= 2000, "{name}: {count} points");
    println!("{name}: {:.3} units in the last place at {:e}", largest.0, largest.1);
    largest
}

#[test]
fn errors_stay_within_their_bounds() {
    let bounds = [
        (Function::Exp, "exp", 1.5),
        (Function::Ln, "ln", 1.5),
        (Function::ExpM1, "exp_m1", 2.0),
        (Function::Ln1p, "ln_1p", 2.0),
    ];
    for (function, name, bound) in bounds {
        let (error, x) = largest_error(function, name);
        assert!(error <= bound, "{name}({x:e}) is off by {error} units in the last place");
    }
}

#[test]
fn edges_are_exact() {
    let infinity = f64::INFINITY;
    let cases = [
        (Function::Exp, 0.0, 1.0),
        (Function::Exp, -0.0, 1.0),
        (Function::Exp, 709.79, infinity),
        (Function::Exp, infinity, infinity),
        (Function::Exp, -708.1, 0.0),
        (Function::Exp, -1e300, 0.0),
        (Function::Exp, -infinity, 0.0),
        (Function::ExpM1, 0.0, 0.0),
        (Function::ExpM1, 1e-300, 1e-300),
        (Function::ExpM1, -5e-324, -5e-324),
        (Function::ExpM1, -infinity, -1.0),
        (Function::ExpM1, -50.0, -1.0),
        (Function::ExpM1, 709.1, infinity),
        (Function::ExpM1, infinity, infinity),
        (Function::Ln, 1.0, 0.0),
        (Function::Ln, 0.0, -infinity),
        (Function::Ln, -0.0, -infinity),
        (Function::Ln, 5e-324, -infinity),
        (Function::Ln, infinity, infinity),
        (Function::Ln1p, 0.0, 0.0),
        (Function::Ln1p, -1.0, -infinity),
        (Function::Ln1p, 1e-300, 1e-300),
        (Function::Ln1p, 5e-324, 5e-324),
        (Function::Ln1p, -1e-300, -1e-300),
        (Function::Ln1p, infinity, infinity),
    ];
    for (function, x, expected) in cases {
        assert_eq!(function.apply(x), expected, "{function:?}({x:e})");
    }
    for x in [-1.0, -1e-310, -infinity] {
        assert!(math::ln(x).is_nan() && math::ln_1p(x - 1.0 - 1e-15).is_nan(), "{x}");
    }
    for function in FUNCTIONS {
        for nan in [f64::NAN, -f64::NAN, f64::from_bits(0x7ff8_0000_0000_0fff)] {
            assert!(function.apply(nan).is_nan(), "{function:?}");
        }
    }
}

/// Random bits (all exponents, both signs, NaN and infinity), moderate values, and edges.
fn arguments() -> Vec<f64> {
    let words = (0..100_000).map(|step| {
        let address = taorisk::rng::Address { path: 0, step, slot: 0, purpose: Purpose::SlotNormals, index: 0 };
        let [a, b, c, d] = taorisk::rng::words(3, address).map(u64::from);
        if step % 2 == 0 {
            f64::from_bits(a << 32 | b)
        } else {
            ((a << 32 | b) as f64 - 9e18) * 4e-19 * f64::from(c as u32) / (d + 1) as f64
        }
    });
    let edges = [
        0.0,
        5e-324,
        1e-310,
        f64::MIN_POSITIVE,
        1e-300,
        0.5,
        0.703125,
        1.0,
        708.0,
        709.0,
        709.78,
        710.0,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ];
    words.chain(edges).chain(edges.map(|x| -x)).collect()
}

#[test]
fn backends_agree() {
    let values = arguments();
    for function in FUNCTIONS {
        let scalar: Vec<u64> = values.iter().map(|&x| canonical(function.apply(x))).collect();
        for backend in Backend::available() {
            for ((result, &bits), x) in function.on(backend, &values).into_iter().zip(&scalar).zip(&values) {
                assert_eq!(canonical(result), bits, "{function:?}({x:e}) on {backend}");
            }
        }
    }
}

/// Every operation of the vectors against the scalar twin, on lanes that differ.
struct Operations<'a> {
    values: &'a [f64],
}

#[inline(always)]
fn operations<L: Lanes>(x: L, y: L, z: L) -> [L; 17] {
    let (one, zero) = (L::splat(1.0), L::splat(0.0));
    let flag = |mask| L::select(mask, one, zero);
    let low = L::from_words(L::multiply_low(x.to_words(), y.to_words()));
    [
        x + y,
        x - y,
        x * y,
        x / y,
        -x,
        x.mul_add(y, z),
        x.sqrt(),
        x.abs(),
        x.min(y),
        x.max(y),
        low,
        flag(x.lt(y)),
        flag(x.le(y)),
        flag(x.gt(y)),
        flag(x.ge(y)),
        flag(x.lt(y) & y.lt(z) | !z.le(x)),
        L::lookup(&std::array::from_fn(|i| i as f64), x.to_words()),
    ]
}

impl Kernel for Operations<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<V: Vector>(self) -> usize {
        let chunks = self.values.as_chunks::<LANES>().0;
        for triple in chunks.windows(3) {
            let [x, y, z] = [0, 1, 2].map(|i| V::load(&triple[i]));
            let results = operations(x, y, z);
            for lane in 0..LANES {
                let expected = operations(triple[0][lane], triple[1][lane], triple[2][lane]);
                for (operation, (result, expected)) in results.iter().zip(expected).enumerate() {
                    let result = result.to_array()[lane];
                    assert_eq!(
                        canonical(result),
                        canonical(expected),
                        "operation {operation} on {:?}",
                        triple.map_lane(lane)
                    );
                }
                assert_eq!(V::bitmask(x.lt(y)) >> lane & 1 == 1, triple[0][lane] < triple[1][lane]);
            }
        }
        chunks.len()
    }
}

trait MapLane {
    fn map_lane(&self, lane: usize) -> Vec<f64>;
}

impl MapLane for [[f64; LANES]] {
    fn map_lane(&self, lane: usize) -> Vec<f64> {
        self.iter().map(|chunk| chunk[lane]).collect()
    }
}

#[test]
fn operations_agree() {
    let values = &arguments()[90_000..];
    for backend in Backend::available() {
        assert!(dispatch(backend, Operations { values }) > 1000);
    }
}

struct Sum([f64; LANES]);

impl Kernel for Sum {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        V::load(&self.0).sum_halving()
    }
}

#[test]
fn sums_of_lanes_have_one_order() {
    let values: Vec<f64> = arguments().into_iter().filter(|x| (1e-30..1e30).contains(&x.abs())).take(4_096).collect();
    for lanes in values.as_chunks::<LANES>().0 {
        let [a, b, c, d, e, f, g, h] = *lanes;
        let expected = ((a + e) + (c + g)) + ((b + f) + (d + h));
        for backend in Backend::available() {
            assert_eq!(dispatch(backend, Sum(*lanes)).to_bits(), expected.to_bits(), "{backend}");
        }
    }
}

/// Largest relative error of an f32 result.
fn single_error(results: impl Iterator<Item = (f32, f64)>) -> f64 {
    results.fold(0.0, |largest: f64, (found, exact)| largest.max((f64::from(found) / exact - 1.0).abs()))
}

/// Relative errors that `single` states, over the arguments that chance has.
#[test]
fn single_functions_have_their_errors() {
    let part = |n: u32| (single::minus_two_ln_of_part(n as f32), -2.0 * (f64::from(n) / 16_777_216.0).ln());
    let minus_two_ln = single_error((1..1 << 24).step_by(7).map(part));
    assert_eq!(single::minus_two_ln_of_part(16_777_216.0_f32), 0.0);
    // Away from the zero of the logarithm at 1, where the error is an absolute one.
    let reserves = (1..2_000_000).map(|i| 1.5 * 1.00001_f32.powi(i)).take_while(|x| *x < 1e9);
    let log2 = single_error(reserves.map(|x| (single::log2(x), f64::from(x).log2())));
    let tenths = |from: i32, to: i32| (from..=to).map(|i| i as f32 * 0.0001);
    let exp2 = single_error(tenths(-1_250_000, 1_250_000).map(|x| (single::exp2(x), f64::from(x).exp2())));
    let flows = tenths(-20_000, 20_000).filter(|x| *x != 0.0);
    let exp_m1 = single_error(flows.map(|x| (single::exp_m1(x), f64::from(x).exp_m1())));
    println!("f32, relative: -2 ln {minus_two_ln:.1e}, log2 {log2:.1e}, exp2 {exp2:.1e}, exp_m1 {exp_m1:.1e}");
    assert!(minus_two_ln <= 3e-7 && log2 <= 3e-7 && exp2 <= 1.5e-7 && exp_m1 <= 4e-7);
    assert_eq!([single::exp2(-1e9_f32), single::exp2(1e9_f32)], [2.0_f32.powi(-126), 2.0_f32.powi(126)]);
    assert_eq!(single::exp_m1(0.0_f32), 0.0);
}

/// A direction is on the circle, and each eighth of a turn comes from one value of the three bits that choose it.
#[test]
fn directions_are_on_the_circle() {
    let mut seen = [0; 8];
    for word in (0..=u32::MAX).step_by(65_521) {
        let (cosine, sine) = single::direction::<f32>(Wrapping(word));
        let radius = f64::from(cosine).hypot(f64::from(sine));
        assert!((radius - 1.0).abs() < 2e-7, "{word:#x}: radius {radius}");
        let eighth = (f64::from(sine).atan2(f64::from(cosine)) / std::f64::consts::FRAC_PI_4).floor();
        seen[eighth.rem_euclid(8.0) as usize] += 1;
        let t = f64::from((word << 2).cast_signed()) / 2_147_483_648.0 * std::f64::consts::FRAC_PI_4;
        let expected = if word >> 30 & 1 == 1 { t.cos() } else { t.sin() };
        let found = f64::from(sine);
        assert!((found.abs() - expected.abs()).abs() < 1.5e-7, "{word:#x}: {found}, not {expected}");
    }
    assert!(seen.iter().all(|count| (7_900..8_500).contains(count)), "{seen:?}");
}
