//! Numbers for readers: as many digits as their error leaves, commas between thousands.

/// Decimals that show two digits of an error; 1 without one.
pub(crate) fn decimals(half_width: f64) -> usize {
    if half_width > 0.0 && half_width.is_finite() {
        (1.0 - half_width.log10().floor()).clamp(0.0, 6.0) as usize
    } else {
        1
    }
}

/// A number with commas between thousands.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !zero { "-" } else { "" };
    fraction.map_or(format!("{sign}{grouped}"), |fraction| format!("{sign}{grouped}.{fraction}"))
}
