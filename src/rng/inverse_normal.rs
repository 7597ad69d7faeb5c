//! Quantiles of the standard normal law.

use crate::simd::math;
use crate::simd::math::horner;

/// Distance from 1/2 up to which the central formula holds.
const CENTRE: f64 = 0.425;
/// `sqrt(-ln p)` up to which the nearer formula of the tail holds.
const NEAR_TAIL: f64 = 5.0;

/// Numerator and denominator, powers ascending, of the three formulas: centre, tail, far tail.
const COEFFICIENTS: [[[f64; 8]; 2]; 3] = [
    [
        [
            3.3871328727963665,
            133.14166789178438,
            1971.5909503065513,
            13731.69376550946,
            45921.95393154987,
            67265.7709270087,
            33430.57558358813,
            2509.0809287301227,
        ],
        [
            1.0,
            42.31333070160091,
            687.1870074920579,
            5394.196021424751,
            21213.794301586597,
            39307.89580009271,
            28729.085735721943,
            5226.495278852854,
        ],
    ],
    [
        [
            1.4234371107496835,
            4.630337846156546,
            5.769497221460691,
            3.6478483247632045,
            1.2704582524523684,
            0.2417807251774506,
            0.022723844989269184,
            0.0007745450142783414,
        ],
        [
            1.0,
            2.053191626637759,
            1.6763848301838038,
            0.6897673349851,
            0.14810397642748008,
            0.015198666563616457,
            0.0005475938084995345,
            1.0507500716444169e-09,
        ],
    ],
    [
        [
            6.657904643501103,
            5.463784911164114,
            1.7848265399172913,
            0.29656057182850487,
            0.026532189526576124,
            0.0012426609473880784,
            2.7115555687434876e-05,
            2.0103343992922881e-07,
        ],
        [
            1.0,
            0.599832206555888,
            0.1369298809227358,
            0.014875361290850615,
            0.0007868691311456133,
            1.8463183175100548e-05,
            1.421511758316446e-07,
            2.0442631033899397e-15,
        ],
    ],
];

/// The value that a standard normal draw is below with probability `p` in (0, 1); relative error at most 1e-14.
///
/// Source: Wichura (1988), Algorithm AS 241 (PPND16), doi:10.2307/2347330.
pub fn inverse_normal(p: f64) -> f64 {
    let from_centre = p - 0.5;
    if from_centre.abs() <= CENTRE {
        return from_centre * ratio(0, CENTRE * CENTRE - from_centre * from_centre);
    }
    let root = (-math::ln(p.min(1.0 - p))).sqrt();
    let size = if root <= NEAR_TAIL { ratio(1, root - 1.6) } else { ratio(2, root - NEAR_TAIL) };
    size.copysign(from_centre)
}

fn ratio(formula: usize, x: f64) -> f64 {
    let [numerator, denominator] = &COEFFICIENTS[formula];
    horner(x, numerator) / horner(x, denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right() {
        // From 40 digits; the first two are 2^-61 and 2^-33, smallest draws of strata and of single words.
        for (p, expected) in [
            (4.336808689942018e-19, -8.851003068386147),
            (1.1641532182693481e-10, -6.337957754553789),
            (1e-06, -4.753424308822899),
            (0.01, -2.326347874040841),
            (0.07, -1.4757910281791707),
            (0.08, -1.4050715603096325),
            (0.3, -0.5244005127080407),
            (0.9, 1.2815515655446006),
            (0.9990234375, 3.0972690781987845),
        ] {
            assert!((inverse_normal(p) / expected - 1.0).abs() < 1e-14, "{p}: {}", inverse_normal(p));
        }
        assert_eq!(inverse_normal(0.5), 0.0);
        assert_eq!(inverse_normal(0.25), -inverse_normal(0.75));
    }
}
