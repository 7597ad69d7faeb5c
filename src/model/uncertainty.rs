//! How well parameters are known: the law that estimation gives them, around their values.

/// Coordinate in which an estimated parameter is normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The parameter itself.
    Linear,
    /// Its logarithm: positive parameters.
    Log,
    /// `ln(p / (1 - p))`: probabilities and fractions.
    Logit,
}

/// A parameter that is known with an error.
#[derive(Clone, Debug, PartialEq)]
pub struct UncertainParameter {
    /// Its key in a scenario, such as `flow.jumps.rate_per_day`.
    pub key: String,
    /// Where it is normal.
    pub scale: Scale,
    /// Standard error on that scale.
    pub standard_error: f64,
}

/// Joint law of the parameters' errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLaw {
    /// Who; each key once.
    pub parameters: Vec<UncertainParameter>,
    /// Correlations on those scales, row by row: symmetric, positive definite, ones on the diagonal.
    pub correlation: Vec<Vec<f64>>,
}
