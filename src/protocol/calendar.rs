//! Blocks and days: when a block was, as far as the chain's halts are known.

/// Blocks, and the minutes from 2025-02-01, 00:00 UTC, to their end: observed (`tests/reference/block_times.csv`). Blocks take 12
/// seconds but where the chain halted, as from 2025-05-20 to 22, or skipped some.
const BLOCK_TIMES: &[(i64, i64)] = &[
    (4_899_446, 14_400),
    (5_611_658, 156_845),
    (5_616_049, 159_630),
    (5_717_815, 180_000),
    (6_956_109, 427_680),
    (7_063_917, 449_280),
    (7_452_517, 527_040),
    (7_459_289, 528_480),
    (7_851_328, 606_960),
    (7_901_589, 617_040),
    (8_045_563, 645_840),
    (8_110_147, 658_800),
    (8_128_108, 662_451),
    (8_404_076, 717_663),
];
const BLOCKS_PER_MINUTE: i64 = 5;
const MINUTES_PER_DAY: i64 = 24 * 60;
/// Days from 1970-01-01 to 2025-02-01.
const EPOCH_DAYS: i64 = day_number((2025, 2, 1)) - day_number((1970, 1, 1));
const DAYS_PER_ERA: i64 = 146_097;

/// First block of the day `(year, month, day)`, UTC: within a quarter of an hour from 2025-02-11 to 2026-06-14 (three hours in the
/// halt of May 2025), five blocks a minute before and after.
pub const fn block_at_midnight(date: (i32, u32, u32)) -> u64 {
    block_at((day_number(date) - day_number((2025, 2, 1))) * MINUTES_PER_DAY) as u64
}

/// Block at so many minutes from 2025-02-01, 00:00 UTC.
const fn block_at(minutes: i64) -> i64 {
    let last = BLOCK_TIMES.len() - 1;
    let mut next = 1;
    while next < last && BLOCK_TIMES[next].1 < minutes {
        next += 1;
    }
    let ((block, time), (next_block, next_time)) = (BLOCK_TIMES[next - 1], BLOCK_TIMES[next]);
    if minutes < time {
        return block - BLOCKS_PER_MINUTE * (time - minutes);
    }
    if minutes > next_time {
        return next_block + BLOCKS_PER_MINUTE * (minutes - next_time);
    }
    block + (next_block - block) * (minutes - time) / (next_time - time)
}

/// Days since a fixed day, by the Gregorian calendar; the year begins in March.
const fn day_number((year, month, day): (i32, u32, u32)) -> i64 {
    let (year, month) = if month > 2 { (year as i64, month as i64 - 3) } else { (year as i64 - 1, month as i64 + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day as i64
}

/// Day (from 1970-01-01, UTC) in which `block` was, as far as [`block_at_midnight`] is right.
pub fn day_of_block(block: u64) -> i64 {
    let minutes = minutes_at(i64::try_from(block).unwrap_or(i64::MAX / MINUTES_PER_DAY));
    EPOCH_DAYS + minutes.div_euclid(MINUTES_PER_DAY)
}

/// First block of `day` (from 1970-01-01, UTC): [`block_at_midnight`].
pub fn block_of_day(day: i64) -> u64 {
    u64::try_from(block_at((day - EPOCH_DAYS) * MINUTES_PER_DAY)).unwrap_or(0)
}

/// Day (from 1970-01-01) of a date such as `2025-11-20`.
pub fn parse_day(text: &str) -> Option<i64> {
    parse_date(text).map(|date| day_number(date) - day_number((1970, 1, 1)))
}

/// The date of a day (from 1970-01-01), such as `2025-11-20`.
pub fn date_text(day: i64) -> String {
    // By whole eras of 400 years, whose years begin in March.
    let days = day + day_number((1970, 1, 1)) - day_number((0, 3, 1));
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// Minutes from 2025-02-01, 00:00 UTC, at which `block` was: the inverse of [`block_at`], rounded down.
fn minutes_at(block: i64) -> i64 {
    let last = BLOCK_TIMES.len() - 1;
    let next = BLOCK_TIMES.partition_point(|(known, _)| *known < block).clamp(1, last);
    let ((from, time), (to, next_time)) = (BLOCK_TIMES[next - 1], BLOCK_TIMES[next]);
    if block < from {
        return time + (block - from).div_euclid(BLOCKS_PER_MINUTE);
    }
    if block > to {
        return next_time + (block - to) / BLOCKS_PER_MINUTE;
    }
    time + (next_time - time) * (block - from) / (to - from)
}

/// Year, month and day of a text such as `2025-11-20`.
pub fn parse_date(text: &str) -> Option<(i32, u32, u32)> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let date = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_date = (1..=12).contains(&date.1) && (1..=31).contains(&date.2) && date.0 < 10_000;
    is_date.then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_the_calendar() {
        // Beyond the observed times days have 7,200 blocks.
        for (from, to, days) in [
            ((2026, 12, 31), (2027, 1, 1), 1),
            ((2027, 2, 28), (2027, 3, 1), 1),
            ((2028, 2, 28), (2028, 3, 1), 2),
            ((2027, 1, 1), (2028, 1, 1), 365),
            ((2024, 2, 28), (2024, 3, 1), 2),
        ] {
            assert_eq!(block_at_midnight(to) - block_at_midnight(from), days * 7_200, "{from:?}");
        }
    }

    /// The halting chain of 2025-05-21 and 22 aside.
    #[test]
    fn observed_times_give_their_blocks() {
        let observed = include_str!("../../tests/reference/block_times.csv").lines().skip(1);
        let mut worst = 0;
        for line in observed.filter(|line| !line.contains("2025-05-21") && !line.contains("2025-05-22")) {
            let (block, time) = line.split_once(',').expect("block,time");
            let (day, clock) = time.split_once('T').expect("a date and a time");
            let parts: Vec<i64> = clock.trim_end_matches('Z').split(':').map(|part| part.parse().unwrap()).collect();
            let date = parse_date(day).expect("a date");
            let minutes = (day_number(date) - day_number((2025, 2, 1))) * 1_440 + parts[0] * 60 + parts[1];
            worst = worst.max((block_at(minutes) - block.parse::<i64>().unwrap()).abs());
        }
        assert!(worst <= 75, "off by {worst} blocks, a fifth of a minute each");
    }

    #[test]
    fn days_and_dates_belong_together() {
        for (text, day) in [("1970-01-01", 0), ("2000-02-29", 11_016), ("2025-02-13", 20_132), ("2027-12-31", 21_183)] {
            assert_eq!(parse_day(text), Some(day), "{text}");
            assert_eq!(date_text(day), text);
        }
        for day in 19_000..23_000 {
            assert_eq!(parse_day(&date_text(day)), Some(day));
        }
    }

    #[test]
    fn blocks_lie_in_their_days() {
        for day in parse_day("2025-02-03").unwrap()..parse_day("2027-06-01").unwrap() {
            let first = block_of_day(day);
            // The division by a stretch of blocks loses less than a minute.
            assert_eq!(day_of_block(first + 6), day, "{}", date_text(day));
            assert_eq!(day_of_block(first - 6), day - 1, "{}", date_text(day));
        }
        assert_eq!(date_text(day_of_block(9_184_186)), "2026-09-30");
        assert!(day_of_block(u64::MAX) > 0 && day_of_block(0) > 0);
    }
}
