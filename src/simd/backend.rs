//! The choice of instruction set at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::simd::lanes::Vector;
use crate::simd::portable;

/// Instruction set that a kernel runs on. Results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// x86-64 with AVX-512 F, DQ, VL and BW: one register to a vector.
    Avx512,
    /// x86-64 with AVX2 and FMA: two registers to a vector.
    Avx2,
    /// aarch64: four registers to a vector.
    Neon,
    /// Arrays, on any machine; slow where the compiler may not assume fused multiply-add.
    Portable,
}

/// What this machine can run, in the order of [`Backend::ALL`]: looked at once, as every kernel asks.
static AVAILABLE: LazyLock<[bool; 4]> = LazyLock::new(|| Backend::ALL.map(can_run));

#[cfg(target_arch = "x86_64")]
fn can_run(backend: Backend) -> bool {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    match backend {
        Backend::Avx512 => {
            avx2 && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
        }
        Backend::Avx2 => avx2,
        Backend::Neon => false,
        Backend::Portable => true,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn can_run(backend: Backend) -> bool {
    match backend {
        Backend::Avx512 | Backend::Avx2 => false,
        Backend::Neon => cfg!(target_arch = "aarch64"),
        Backend::Portable => true,
    }
}

/// A name that is no backend's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SIMD backend: write avx512, avx2, neon or portable")]
pub struct UnknownBackend(String);

/// A computation over vectors of any backend. Mark `run`, and all it calls, `#[inline(always)]`: a call that is not
/// inlined is compiled without the backend's instructions.
pub trait Kernel {
    /// What the computation returns.
    type Output;

    /// Computes with vectors of type `V`.
    fn run<V: Vector>(self) -> Self::Output;
}

impl Backend {
    /// All backends, best first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The best backend of this machine.
    pub fn detect() -> Self {
        Self::ALL.into_iter().find(|backend| backend.is_available()).unwrap_or(Self::Portable)
    }

    /// The backends of this machine, best first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|backend| backend.is_available()).collect()
    }

    /// Whether this machine can run the backend.
    #[inline]
    pub fn is_available(self) -> bool {
        AVAILABLE[self as usize]
    }

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        Self::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(|| UnknownBackend(name.to_owned()))
    }
}

/// Runs `kernel` on `backend`.
///
/// # Panics
///
/// If this machine lacks the backend.
#[allow(unsafe_code)]
#[inline]
pub fn dispatch<K: Kernel>(backend: Backend, kernel: K) -> K::Output {
    assert!(backend.is_available(), "this machine cannot run the SIMD backend {backend}");
    match backend {
        // SAFETY: `is_available` has found the instruction set that the wrapper enables.
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 => unsafe { crate::simd::avx512::run(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => unsafe { crate::simd::avx2::run(kernel) },
        #[cfg(target_arch = "aarch64")]
        Backend::Neon => kernel.run::<crate::simd::neon::Doubles>(),
        _ => kernel.run::<portable::Doubles>(),
    }
}

#[cfg(test)]
mod tests {
    use super::Backend;

    #[test]
    fn names_round_trip() {
        for backend in Backend::ALL {
            assert_eq!(backend.name().parse(), Ok(backend));
            assert_eq!(Backend::ALL[backend as usize], backend);
        }
        assert!("avx".parse::<Backend>().is_err());
    }

    #[test]
    fn detection_takes_the_first_available() {
        assert_eq!(Backend::available().first(), Some(&Backend::detect()));
        assert!(Backend::available().contains(&Backend::Portable));
    }
}
