//! Numbers that flags take, and what is said of others.

/// A fraction below 1.
pub(super) fn part(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..1.0).contains(value));
    value.ok_or_else(|| "must be a fraction from 0 to below 1".to_owned())
}

/// A fraction.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "must be a fraction from 0 to 1".to_owned())
}

/// A finite number that is not negative.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| "must be a finite number >= 0".to_owned())
}
