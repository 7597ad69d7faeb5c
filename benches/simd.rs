//! Time per lane of the elementary functions and the draws, on each backend of the machine.
//!
//! Throughput is in lanes: 1 / (elements per second) is the time per lane. Each case asserts its result.

use std::hint::black_box;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use taorisk::rng::GROUP_SLOTS;
use taorisk::rng::Purpose;
use taorisk::rng::group_normals;
use taorisk::rng::group_words;
use taorisk::rng::philox4x32;
use taorisk::rng::philox4x32_lanes;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::LANES;
use taorisk::simd::Singles;
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
    SlotNormals,
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

/// Sums of the three normals of each slot.
#[inline(always)]
fn draws<V: Vector>(output: &mut Buffer) {
    for (group, chunks) in output.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let words = group_words::<V>(1, 2, 3, Purpose::SlotNormals, (group * GROUP_SLOTS) as u32);
        let [mut first, mut last] = [V::Singles::splat(0.0); 2];
        for words in words {
            let [a, b] = group_normals::<V>(words);
            (first, last) = (first + a, last + b);
        }
        let mut rows = [[0.0; 2 * LANES]; 2];
        V::store_singles(first, &mut rows[0]);
        V::store_singles(last, &mut rows[1]);
        for (chunk, sums) in chunks.iter_mut().zip(rows.as_flattened().as_chunks().0) {
            V::load_wide(sums).store(chunk);
        }
    }
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
            Case::SlotNormals => draws::<V>(output),
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
        Case::SlotNormals => {
            let normals = taorisk::rng::slot_normals(1, 2, 3, Purpose::SlotNormals, slot as u32);
            f64::from(normals.iter().fold(0.0, |sum, normal| sum + *normal as f32))
        }
    }
}

fn bench(criterion: &mut Criterion) {
    let mut input: Buffer = [[0.0; LANES]; CHUNKS];
    input.as_flattened_mut().iter_mut().enumerate().for_each(|(i, x)| *x = 0.01 + 0.037 * i as f64);
    for case in [Case::Exp, Case::ExpM1, Case::Ln, Case::Ln1p, Case::Philox, Case::SlotNormals] {
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
