//! Vectors of eight f64 lanes with the same bits on every backend.
//!
//! A kernel is written once over [`Vector`] and run by [`dispatch`] on the backend chosen at run time. A vector is
//! always eight lanes, whatever the registers hold (one, two or four of them, or an array), so a chunk of eight slots
//! is one vector and the order of operations cannot depend on the machine. Only exactly rounded operations are
//! offered, every multiply-add is fused, and minimum and maximum are a comparison and a selection: that is the whole
//! argument for equal bits, and `backends_agree` in the tests holds it. A lone `f64` implements [`Lanes`] too: rare
//! events run the same functions on one lane.
//!
//! `pulp` was the alternative; its generic interface has no 64-bit integer adds and shifts and no widening of f32,
//! which [`math`] and the random numbers need.

mod backend;
mod lanes;
pub mod math;
mod pair;
mod portable;
mod scalar;
pub mod single;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub use backend::Backend;
pub use backend::Kernel;
pub use backend::UnknownBackend;
pub use backend::dispatch;
pub use lanes::LANES;
pub use lanes::Lanes;
pub use lanes::Mask;
pub use lanes::Singles;
pub use lanes::Vector;
pub use lanes::Words;
pub use pair::Pair;
