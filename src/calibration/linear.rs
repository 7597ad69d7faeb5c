//! Small dense symmetric systems.

/// A square matrix, row by row.
pub(crate) type Matrix = Vec<Vec<f64>>;

/// A square matrix of zeros.
pub(crate) fn zeros(size: usize) -> Matrix {
    vec![vec![0.0; size]; size]
}

/// Lower triangular `l` with `l l' = matrix`; `None`: not positive definite.
pub(crate) fn cholesky(matrix: &Matrix) -> Option<Matrix> {
    let mut lower = zeros(matrix.len());
    for i in 0..matrix.len() {
        for j in 0..=i {
            let rest = matrix[i][j] - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
            if i == j {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    Some(lower)
}

/// Solution `x` of `l l' x = right`.
pub(crate) fn solve(lower: &Matrix, right: &[f64]) -> Vec<f64> {
    let mut x = right.to_vec();
    for i in 0..x.len() {
        x[i] = (x[i] - (0..i).map(|k| lower[i][k] * x[k]).sum::<f64>()) / lower[i][i];
    }
    for i in (0..x.len()).rev() {
        x[i] = (x[i] - (i + 1..x.len()).map(|k| lower[k][i] * x[k]).sum::<f64>()) / lower[i][i];
    }
    x
}

/// Inverse of a symmetric positive definite matrix.
pub(crate) fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let lower = cholesky(matrix)?;
    let unit = |i: usize| (0..matrix.len()).map(|j| if i == j { 1.0 } else { 0.0 }).collect::<Vec<_>>();
    Some((0..matrix.len()).map(|i| solve(&lower, &unit(i))).collect())
}

/// Sample covariance of vectors of equal length.
pub(crate) fn covariance(samples: &[Vec<f64>]) -> Matrix {
    let size = samples.first().map_or(0, Vec::len);
    let n = samples.len() as f64;
    let mean: Vec<f64> = (0..size).map(|i| samples.iter().map(|sample| sample[i]).sum::<f64>() / n).collect();
    let product =
        |i: usize, j: usize| samples.iter().map(|sample| (sample[i] - mean[i]) * (sample[j] - mean[j])).sum::<f64>();
    (0..size).map(|i| (0..size).map(|j| product(i, j) / (n - 1.0)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_times_its_matrix_is_one() {
        let matrix = vec![vec![4.0, 1.0, -0.5], vec![1.0, 3.0, 0.7], vec![-0.5, 0.7, 2.0]];
        let inverse = inverse(&matrix).expect("positive definite");
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| matrix[i][k] * inverse[k][j]).sum();
                assert!((product - if i == j { 1.0 } else { 0.0 }).abs() < 1e-14);
            }
        }
        assert_eq!(cholesky(&vec![vec![1.0, 2.0], vec![2.0, 1.0]]), None);
    }

    #[test]
    fn covariances_divide_by_one_less_than_the_count() {
        let found = covariance(&[vec![1.0, 2.0], vec![3.0, 2.0], vec![2.0, 5.0]]);
        assert_eq!(found, vec![vec![1.0, 0.0], vec![0.0, 3.0]]);
    }
}
