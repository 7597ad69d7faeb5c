//! Gauss quadrature over the blocks of a step: few nodes that average smooth functions of the block as all blocks do.

/// Nodes at most.
pub const NODES: usize = 6;

/// Nodes (in blocks from the middle of the step) and weights, which sum to 1. Unused ones, where a step has fewer blocks, have
/// weight 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockQuadrature {
    /// Distances from the middle.
    pub nodes: [f64; NODES],
    /// Weights.
    pub weights: [f64; NODES],
}

impl BlockQuadrature {
    /// Of a step of `blocks` blocks: exact for polynomials up to degree 11.
    ///
    /// The nodes are the roots of the polynomials orthogonal on evenly weighted points (Gram), whose recurrence is
    ///
    /// ```text
    /// b_(n+1) p_(n+1) = x p_n - b_n p_(n-1)      b_n^2 = n^2 (K^2 - n^2) / (4 (4 n^2 - 1))
    /// ```
    ///
    /// and a weight is `1 / sum_n p_n^2` at its node (Szego, Orthogonal Polynomials, sections 2.8 and 3.4).
    pub fn new(blocks: u64) -> Self {
        let count = NODES.min(blocks as usize);
        let mut quadrature = Self { nodes: [0.0; NODES], weights: [0.0; NODES] };
        let half = 0.5 * blocks as f64;
        let mut found = 0;
        // The roots are apart by more than a thousandth of the step.
        let grid = 4_001;
        let point = |i: i32| half * (2.0 * f64::from(i) / f64::from(grid) - 1.0);
        for i in 0..grid {
            let (mut low, mut high) = (point(i), point(i + 1));
            let sign = last_polynomial(low, count, blocks).0;
            if found == count || sign * last_polynomial(high, count, blocks).0 > 0.0 {
                continue;
            }
            for _ in 0..100 {
                let middle = 0.5 * (low + high);
                *(if last_polynomial(middle, count, blocks).0 * sign > 0.0 { &mut low } else { &mut high }) = middle;
            }
            let node = 0.5 * (low + high);
            quadrature.nodes[found] = node;
            quadrature.weights[found] = 1.0 / last_polynomial(node, count, blocks).1;
            found += 1;
        }
        assert_eq!(found, count, "a quadrature of {blocks} blocks has {count} nodes");
        quadrature
    }
}

/// `b_count p_count` at `x`, and the sum of the squares of the polynomials before it.
fn last_polynomial(x: f64, count: usize, blocks: u64) -> (f64, f64) {
    let k = blocks as f64;
    let (mut before, mut p, mut squares, mut last) = (0.0, 1.0, 0.0, 0.0);
    for n in 0..count {
        squares += p * p;
        let scaled = x * p - last * before;
        let next = (n + 1) as f64;
        last = (next * next * (k * k - next * next) / (4.0 * (4.0 * next * next - 1.0))).sqrt();
        if n + 1 == count {
            return (scaled, squares);
        }
        (before, p) = (p, scaled / last);
    }
    (p, squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_those_over_all_blocks() {
        for blocks in [1, 2, 3, 5, 6, 7, 20, 360, 7_200] {
            let quadrature = BlockQuadrature::new(blocks);
            let middle = 0.5 * (blocks - 1) as f64;
            for power in 0..12 {
                let scaled = |x: f64| (x / blocks as f64).powi(power);
                let all = (0..blocks).map(|j| scaled(j as f64 - middle)).sum::<f64>() / blocks as f64;
                let few: f64 = quadrature.nodes.iter().zip(quadrature.weights).map(|(x, w)| w * scaled(*x)).sum();
                assert!((all - few).abs() < 1e-14, "{blocks} blocks, power {power}: {few}, not {all}");
            }
        }
    }
}
