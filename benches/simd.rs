//! Time per lane of the elementary functions and the draws, on each backend of the machine.
//!
//! Throughput is in lanes: 1 / (elements per second) is the time per lane. Each case asserts its result.

use std::hint::black_box;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use taorisk::rng::Purpose;
use taorisk::rng::philox4x32;
use taorisk::rng::philox4x32_lanes;
use taorisk::rng::slot_draws;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::LANES;
use taorisk::simd::Vector;
use taorisk::simd::Words;
use taorisk::simd::dispatch;
use taorisk::simd::math;

/// Slots of a path: the buffers stay in the first cache.
const SLOTS: usize = 256;
const CHUNKS: usize = SLOTS / LANES;

type Buffer = [[f64; LANES]; CHUNKS];

#[derive(Clone, Copy, Debug)]
enum Case {
    Exp,
    ExpM1,
    Ln,
    Ln1p,
    Philox,
    SlotDraws,
}

struct Pass<'a> {
    case: Case,
    input: &'a Buffer,
    output: &'a mut Buffer,
}

#[inline(always)]
fn map<V: Vector>(input: &Buffer, output: &mut Buffer, f: impl Fn(V) -> V) {
    for (from, to) in input.iter().zip(output) {
        f(V::load(from)).store(to);
    }
}

#[inline(always)]
fn philox<V: Vector>(chunk: usize) -> V {
    let zero = V::Words::splat(0);
    let slots = V::load_words(&[0, 1, 2, 3, 4, 5, 6, 7]) + V::Words::splat((chunk * LANES) as u64);
    let [a, b, c, d] = philox4x32_lanes::<V>([zero, zero, slots, zero], [1, 2]);
    let low = V::Words::splat(0xffff);
    V::from_words(((a ^ b ^ c ^ d) & low) | V::Words::splat(1.0_f64.to_bits()))
}

#[inline(always)]
fn draws<V: Vector>(chunk: usize) -> V {
    let draws = slot_draws::<V>(1, 2, 3, Purpose::SlotNormals, (chunk * LANES) as u32);
    draws.normals[0] + draws.normals[1] + draws.normals[2] + V::from_array(draws.residue.map(f64::from))
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { case, input, output } = self;
        match case {
            Case::Exp => map::<V>(input, output, math::exp),
            Case::ExpM1 => map::<V>(input, output, math::exp_m1),
            Case::Ln => map::<V>(input, output, math::ln),
            Case::Ln1p => map::<V>(input, output, math::ln_1p),
            Case::Philox => output.iter_mut().enumerate().for_each(|(i, to)| philox::<V>(i).store(to)),
            Case::SlotDraws => output.iter_mut().enumerate().for_each(|(i, to)| draws::<V>(i).store(to)),
        }
    }
}

fn expected(case: Case, slot: usize, x: f64) -> f64 {
    match case {
        Case::Exp => x.exp(),
        Case::ExpM1 => x.exp_m1(),
        Case::Ln => x.ln(),
        Case::Ln1p => x.ln_1p(),
        Case::Philox => {
            let [a, b, c, d] = philox4x32([0, 0, slot as u32, 0], [1, 2]);
            f64::from_bits(u64::from((a ^ b ^ c ^ d) & 0xffff) | 1.0_f64.to_bits())
        }
        Case::SlotDraws => {
            let address =
                taorisk::rng::Address { path: 2, step: 3, slot: slot as u32, purpose: Purpose::SlotNormals, index: 0 };
            let (normals, residue) = taorisk::rng::slot_draws_scalar(1, address);
            normals.iter().sum::<f64>() + f64::from(residue)
        }
    }
}

fn bench(criterion: &mut Criterion) {
    let mut input: Buffer = [[0.0; LANES]; CHUNKS];
    input.as_flattened_mut().iter_mut().enumerate().for_each(|(i, x)| *x = 0.01 + 0.037 * i as f64);
    for case in [Case::Exp, Case::ExpM1, Case::Ln, Case::Ln1p, Case::Philox, Case::SlotDraws] {
        let mut group = criterion.benchmark_group(format!("{case:?}"));
        group.throughput(Throughput::Elements(SLOTS as u64));
        for backend in Backend::available() {
            let mut output = input;
            group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
                bencher.iter(|| {
                    dispatch(backend, Pass { case, input: black_box(&input), output: &mut output });
                    black_box(&mut output);
                });
            });
            for (slot, (result, x)) in output.as_flattened().iter().zip(input.as_flattened()).enumerate() {
                let expected = expected(case, slot, *x);
                assert!(
                    (result - expected).abs() <= 1e-15 * expected.abs(),
                    "{case:?}({x}) = {result}, not {expected}"
                );
            }
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
