//! The story of a path for a reader: steps, events, worst days, states and blocks, in 100 columns.

use std::fmt::Write;

use crate::cli::shock_text::shock_text;
use crate::cli::table::Style;
use crate::cli::table::days_label;
use crate::cli::table::grouped;
use crate::cli::table::printable;
use crate::config::scenario::Scenario;
use crate::engine::record::EventKind;
use crate::engine::record::SampleRow;
use crate::engine::unfold::BlockRow;
use crate::risk::replay::DayLoss;
use crate::risk::replay::PositionLoss;
use crate::risk::replay::Replay;
use crate::risk::replay::ReplayPlan;
use crate::risk::replay::StoryEvent;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SubnetId;

/// Days of largest losses told of.
pub(crate) const WORST_DAYS: usize = 5;
/// The same, where the story is told in a few lines.
const TAIL_DAYS: usize = 3;
/// Positions told of a day.
const POSITIONS_TOLD: usize = 4;
/// Columns of the terminal.
const WIDTH: usize = 100;
/// Columns of day and block at the left of every line.
const PLACE_WIDTH: usize = 20;
/// Digits of amounts and prices.
const DIGITS: i32 = 5;

/// One path's story and what it is part of.
pub(crate) struct Story<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) replay: &'a Replay,
    pub(crate) path: u64,
    pub(crate) book: usize,
    pub(crate) kept: &'a ReplayPlan,
    pub(crate) style: Style,
}

impl Story<'_> {
    /// Everything but blocks.
    pub(crate) fn whole(&self) -> String {
        self.heading() + &self.steps() + &self.states() + "\n" + &self.events() + "\n" + &self.worst_days()
    }

    /// The events, in order.
    pub(crate) fn events(&self) -> String {
        let mut text = self.title("Events");
        let of_subnets = self.replay.events.iter().map(|event| (event.row.block, self.event_text(event)));
        let shocks = &self.scenario.model.shocks;
        let of_shocks = self.replay.shocks.iter().map(|&(shock, block)| (block, shock_text(&shocks[shock])));
        let mut events: Vec<(u64, String)> = of_shocks.chain(of_subnets).collect();
        events.sort_by_key(|(block, _)| *block);
        for (block, event) in &events {
            text.push_str(&wrapped(&self.place(*block), event));
        }
        if events.is_empty() {
            text.push_str(" none\n");
        }
        text
    }

    /// Prices and moving prices block by block, subnet by subnet.
    pub(crate) fn blocks(&self, rows: &[BlockRow]) -> String {
        let mut text = self
            .style
            .dim("Within a step, as its closed form implies: prices move evenly in logs; chance is drawn once a step.");
        text.push('\n');
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| (row.id, row.block));
        for rows in rows.chunk_by(|a, b| a.id == b.id) {
            text.push_str(&self.title(&format!("{}, TAO per alpha", self.subnet(rows[0].id))));
            let column = |title, value: fn(&BlockRow) -> f64| Column::new(title, 20, rows.iter().map(value), 8);
            let columns = [
                column("after coinbase", |row| row.sampled_price),
                column("after trades", |row| row.price),
                column("moving price", |row| row.moving_price),
            ];
            text.push_str(&self.table(rows.iter().map(|row| row.block), &columns));
        }
        text
    }

    fn heading(&self) -> String {
        let scenario = self.scenario;
        let mut text = self.title(&format!(
            "Path {} of scenario {}, seed {}: {} from block {}, in steps of {} blocks",
            self.path,
            printable(&scenario.name),
            scenario.seed,
            days_label(scenario.horizon_days()),
            grouped(scenario.start.block as f64, 0),
            grouped(scenario.blocks_per_step as f64, 0)
        ));
        let opening = self.replay.openings_tao[self.book];
        let book = printable(&scenario.books[self.book].name);
        let _ = writeln!(text, "Book {book}: {} TAO at spot at the start", amount(opening));
        for row in self.replay.horizons.iter().filter(|row| usize::from(row.book) == self.book) {
            let days = scenario.report_horizons[usize::from(row.horizon)].days;
            let _ = writeln!(
                text,
                " after {:<9} P&L {:>10} TAO at spot, {:>10} liquidated; drawdown {:>4.1}%; {} deregistered",
                days_label(days) + ":",
                amount(row.pnl_mark_tao),
                amount(row.pnl_liquidation_tao),
                100.0 * row.max_drawdown,
                row.deregistered_holdings
            );
        }
        text.push('\n');
        text
    }

    /// Flows of the network and value of the book after every step.
    fn steps(&self) -> String {
        let rows = &self.replay.steps;
        let opening = self.replay.openings_tao[self.book];
        let marks: Vec<f64> = rows.iter().map(|row| opening + row.books[self.book].pnl_mark_tao).collect();
        let changes = (0..rows.len()).map(|index| if index > 0 { marks[index] - marks[index - 1] } else { 0.0 });
        let tao = decimals(&[marks.as_slice(), &[opening]].concat(), DIGITS + 1);
        let columns = [
            Column::new("organic flow", 14, rows.iter().map(|row| row.organic_flow_tao), DIGITS),
            Column::new("chain spends", 13, rows.iter().map(|row| row.chain_spending_tao), DIGITS),
            Column::new("emission sold", 14, rows.iter().map(|row| row.emission_sales_tao), DIGITS),
            Column::with_decimals("value", 13, marks.iter().copied(), tao),
            Column::with_decimals("change", 11, changes, tao),
            Column::with_decimals("P&L", 12, rows.iter().map(|row| row.books[self.book].pnl_mark_tao), tao),
        ];
        let of_flows = match self.kept.netuids.as_slice() {
            [] => "of all subnets".to_owned(),
            netuids => format!("of {}", netuids.iter().map(NetUid::to_string).collect::<Vec<_>>().join(", ")),
        };
        let book = printable(&self.scenario.books[self.book].name);
        let title = format!("Steps, TAO: flows {of_flows} in the step; book {book} at spot after it");
        let mut text = String::new();
        wrapped("", &title).lines().for_each(|line| text.push_str(&self.title(line)));
        text + &self.table(rows.iter().map(|row| row.block), &columns)
    }

    /// States of the named subnets, each occupant of a slot by itself.
    fn states(&self) -> String {
        let mut text = String::new();
        let mut rows: Vec<&SampleRow> = self.replay.states.iter().collect();
        let id = |row: &SampleRow| SubnetId { netuid: row.netuid, registered_at: row.registered_at };
        rows.sort_by_key(|row| (id(row), row.step));
        for rows in rows.chunk_by(|a, b| id(a) == id(b)) {
            let column = |title, width, value: fn(&SampleRow) -> f64| {
                Column::new(title, width, rows.iter().map(|row| value(row)), DIGITS)
            };
            let columns = [
                column("price", 12, |row| row.price),
                column("moving price", 14, |row| row.moving_price),
                column("pool TAO", 12, |row| row.reserve_tao),
                column("pool alpha", 14, |row| row.reserve_alpha),
                column("share, %", 12, |row| 100.0 * row.emission_share),
                column("flow, % of pool", 16, |row| 100.0 * row.flow.exp_m1()),
            ];
            let _ = write!(text, "\n{}", self.title(&self.subnet(id(rows[0]))));
            text.push_str(&self.table(rows.iter().map(|row| row.block), &columns));
        }
        text
    }

    /// When the book lost most, and by which positions.
    fn worst_days(&self) -> String {
        let book = printable(&self.scenario.books[self.book].name);
        let mut text = self.title(&format!("When book {book} lost most: days, at spot"));
        let days = self.replay.worst_days(self.book, WORST_DAYS);
        for day in &days {
            text.push_str(&wrapped(&self.place(self.block(day.step)), &self.day_text(day)));
        }
        if days.is_empty() {
            text.push_str(" on no day\n");
        }
        text
    }

    /// The path in a few lines: which positions lost most, which were deregistered, on which days most was lost.
    pub(crate) fn tail_lines(&self) -> Vec<String> {
        let mut lines = vec![self.losers()];
        let held = |event: &&StoryEvent| event.settlements.iter().any(|(book, _)| *book == self.book);
        for event in self.replay.events.iter().filter(held) {
            lines.push(format!("Day {:.1}: {}", self.days(event.row.block), self.event_text(event)));
        }
        for day in self.replay.worst_days(self.book, TAIL_DAYS) {
            let end = self.days(self.block(day.step));
            lines.push(format!("Among its worst days, day {end:.1}: {}", self.day_text(&day)));
        }
        lines
    }

    /// The positions that lost most from the start to the end.
    fn losers(&self) -> String {
        let rows = || self.replay.holdings.iter().filter(|row| row.book == self.book);
        let last = rows().map(|row| row.step).max();
        let opening = rows().filter(|row| row.step == 0).map(|row| (row.netuid, row.value_tao));
        let loss = |(netuid, value): (NetUid, f64)| {
            let end = rows().find(|row| Some(row.step) == last && row.netuid == netuid);
            (netuid, value, value - end.map_or(0.0, |row| row.value_tao))
        };
        let mut losses: Vec<(NetUid, f64, f64)> = opening.map(loss).collect();
        losses.sort_by(|a, b| b.2.total_cmp(&a.2));
        let told = losses.iter().take(POSITIONS_TOLD).map(|&(netuid, value, loss)| {
            format!("{} {} TAO ({:.0}%)", self.holding(netuid), amount(-loss), -100.0 * loss / value)
        });
        format!("Largest losses over the whole path: {}", told.collect::<Vec<_>>().join(", "))
    }

    /// Netuid and name of a subnet held at the start.
    fn holding(&self, netuid: NetUid) -> String {
        let held = self.scenario.start.subnets.iter().find(|subnet| subnet.netuid == netuid);
        held.map_or(netuid.to_string(), |subnet| self.subnet(SubnetId { netuid, registered_at: subnet.registered_at }))
    }

    fn day_text(&self, day: &DayLoss) -> String {
        let is_named = |lost: &&PositionLoss| self.kept.netuids.is_empty() || self.kept.netuids.contains(&lost.netuid);
        let (named, others): (Vec<&PositionLoss>, Vec<&PositionLoss>) = day.positions.iter().partition(is_named);
        let (told, rest) = named.split_at(named.len().min(POSITIONS_TOLD));
        let position = |lost: &&PositionLoss| {
            let fate = if lost.deregistered { " (deregistered)" } else { "" };
            format!("{} {}{fate}", lost.netuid, amount(-lost.loss_tao))
        };
        let mut parts: Vec<String> = told.iter().map(position).collect();
        let rest: Vec<&PositionLoss> = rest.iter().chain(&others).copied().collect();
        if !rest.is_empty() {
            let gain = -rest.iter().fold(0.0, |sum, lost| sum + lost.loss_tao);
            parts.push(format!("{} others {}", rest.len(), amount(gain)));
        }
        let share = -100.0 * day.loss_tao / day.opening_tao;
        format!("{} TAO, {share:.1}%: {}", amount(-day.loss_tao), parts.join(", "))
    }

    fn event_text(&self, event: &StoryEvent) -> String {
        let row = &event.row;
        let subnet = self.subnet(SubnetId { netuid: row.netuid, registered_at: row.registered_at });
        let (price, moving_price) = (significant(event.price), significant(row.moving_price));
        match row.kind {
            EventKind::Registered => {
                let cost = amount(row.lock_cost_tao.unwrap_or(0.0));
                format!("{} registered for {cost} TAO; its pool opens at {price} TAO per alpha", row.netuid)
            }
            EventKind::Started => format!("{subnet}: start_call, price {price}"),
            EventKind::EmissionEnabled => {
                format!("{subnet}: emission enabled, price {price}, moving price {moving_price}")
            }
            EventKind::Deregistered => {
                let payout = row.payout_tao_per_alpha.unwrap_or(0.0);
                let mut text = format!(
                    "{subnet} deregistered: moving price {moving_price}, {}; pays {} TAO per alpha, {}",
                    rank(event),
                    significant(payout),
                    against(payout, event.price)
                );
                for (book, paid) in &event.settlements {
                    let name = printable(&self.scenario.books[*book].name);
                    let (alpha, worth) = (amount(paid.alpha), amount(paid.mark_tao));
                    let (got, change) = (amount(paid.paid_tao), amount(paid.paid_tao - paid.mark_tao));
                    let _ = write!(text, "; book {name}: {alpha} alpha worth {worth} TAO became {got} TAO ({change})");
                }
                text
            }
        }
    }

    fn title(&self, text: &str) -> String {
        self.style.bold(text) + "\n"
    }

    /// Netuid and name of a subnet of the snapshot, or when it came.
    fn subnet(&self, id: SubnetId) -> String {
        let subnets = self.scenario.start.subnets.iter().zip(&self.scenario.subnet_names);
        let found = subnets
            .into_iter()
            .find(|(subnet, _)| (subnet.netuid, subnet.registered_at) == (id.netuid, id.registered_at));
        match found {
            Some((_, name)) if name.is_empty() => id.netuid.to_string(),
            Some((_, name)) => format!("{} {}", id.netuid, printable(name)),
            None => format!("{} of day {:.2}", id.netuid, self.days(id.registered_at)),
        }
    }

    fn block(&self, step: u32) -> u64 {
        self.scenario.start.block + u64::from(step) * self.scenario.blocks_per_step
    }

    fn days(&self, block: u64) -> f64 {
        block.saturating_sub(self.scenario.start.block) as f64 / BLOCKS_PER_DAY as f64
    }

    /// Day and block at the left of a line. A block is 0.00014 days.
    fn place(&self, block: u64) -> String {
        let is_fine = self.kept.moves || self.scenario.blocks_per_step < BLOCKS_PER_DAY / 100;
        let decimals = if is_fine { 4 } else { 2 };
        format!("{:>8.decimals$} {:>11}", self.days(block), grouped(block as f64, 0))
    }

    fn table(&self, blocks: impl Iterator<Item = u64>, columns: &[Column]) -> String {
        let mut text = format!("{:>8} {:>11}", "day", "block");
        columns.iter().for_each(|column| text.push_str(&format!("{:>1$}", column.title, column.width)));
        text = self.style.dim(&text) + "\n";
        for (row, block) in blocks.enumerate() {
            text.push_str(&self.place(block));
            columns.iter().for_each(|column| text.push_str(&format!("{:>1$}", column.cells[row], column.width)));
            text.push('\n');
        }
        text
    }
}

/// Numbers under a title, with the same decimals.
struct Column {
    title: &'static str,
    width: usize,
    cells: Vec<String>,
}

impl Column {
    /// The largest number has `digits` digits.
    fn new(title: &'static str, width: usize, values: impl Iterator<Item = f64>, digits: i32) -> Self {
        let values: Vec<f64> = values.collect();
        let decimals = decimals(&values, digits);
        Self::with_decimals(title, width, values.into_iter(), decimals)
    }

    fn with_decimals(title: &'static str, width: usize, values: impl Iterator<Item = f64>, decimals: usize) -> Self {
        Self { title, width, cells: values.map(|value| grouped(value, decimals)).collect() }
    }
}

/// Decimals that show `digits` digits of the largest of `values`, 8 at most.
fn decimals(values: &[f64], digits: i32) -> usize {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest > 0.0 { (digits - 1 - largest.log10().floor() as i32).clamp(0, 8) as usize } else { 0 }
}

/// An amount with [`DIGITS`] digits, two decimals at most; below 1 with two digits.
fn amount(value: f64) -> String {
    let decimals = if value.abs() < 1.0 { decimals(&[value], 2) } else { decimals(&[value], DIGITS).min(2) };
    grouped(value, decimals)
}

/// A price with [`DIGITS`] digits.
fn significant(value: f64) -> String {
    grouped(value, decimals(&[value], DIGITS))
}

/// Place of a pruned subnet's moving price; those below it were immune.
fn rank(event: &StoryEvent) -> String {
    match event.rank {
        1 => format!("the lowest of {}", event.subnets),
        rank => format!("the lowest of {} but for {} immune", event.subnets, rank - 1),
    }
}

/// A payout against the spot price just before.
fn against(payout: f64, price: f64) -> String {
    let change = 100.0 * (payout / price - 1.0);
    let side = if change < 0.0 { "below" } else { "above" };
    format!("{:.1}% {side} the spot price of {}", change.abs(), significant(price))
}

/// `text` after `place`, broken between words to lines of [`WIDTH`] columns.
fn wrapped(place: &str, text: &str) -> String {
    let indent = if place.is_empty() { 0 } else { PLACE_WIDTH + 2 };
    let mut lines = vec![if place.is_empty() { String::new() } else { format!("{place}  ") }];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("a line to begin with");
        let columns = line.chars().count();
        if columns > indent && columns + 1 + word.chars().count() > WIDTH {
            lines.push(" ".repeat(indent) + word);
        } else {
            if columns > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_hang() {
        let place = "    2.35   9,201,080";
        assert_eq!(wrapped(place, "a story"), "    2.35   9,201,080  a story\n");
        let long = wrapped(place, &"word ".repeat(40));
        assert!(long.lines().all(|line| line.chars().count() <= WIDTH), "{long}");
        assert!(long.lines().skip(1).all(|line| line.starts_with(&" ".repeat(PLACE_WIDTH + 2))), "{long}");
        assert_eq!(long.matches("word").count(), 40);
    }

    #[test]
    fn numbers_have_five_digits() {
        assert_eq!([0.0, 0.0012345678, 2.5000123, 123456.7].map(significant), ["0", "0.0012346", "2.5000", "123,457"]);
        assert_eq!([0.001, -48.137, 1000.0, 100_248.3].map(amount), ["0.0010", "-48.14", "1,000.0", "100,248"]);
        assert_eq!(decimals(&[f64::NAN, 0.5], 5), 5);
    }

    #[test]
    fn payouts_stand_against_the_price() {
        assert_eq!(against(0.5, 1.0), "50.0% below the spot price of 1.0000");
        assert_eq!(against(3.0, 1.0), "200.0% above the spot price of 1.0000");
    }
}
