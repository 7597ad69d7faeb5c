//! Which value of a row goes to which column: one function per file, in schema order.

use crate::engine::record::EventRow;
use crate::engine::record::PathRow;
use crate::engine::record::SampleRow;
use crate::engine::unfold::BlockRow;
use crate::output::parquet::Columns;
use crate::output::parquet::Row;
use crate::risk::attribution::AttributionRow;
use crate::risk::credit::CreditRow;
use crate::risk::estimate::Estimate;
use crate::risk::measure::SummaryRow;
use crate::risk::revenue::RevenueFigure;
use crate::risk::subnet::QuantileRow;
use crate::risk::subnet::SubnetRow;
use crate::units::NetUid;
use crate::units::SubnetId;

/// A path row with the names that its indices stand for.
pub(crate) struct NamedPathRow<'a> {
    pub(crate) row: &'a PathRow,
    pub(crate) book: &'a str,
    pub(crate) horizon_days: f64,
}

impl Row for NamedPathRow<'_> {
    fn append(&self, columns: &mut Columns) {
        let row = self.row;
        columns.u64(row.path);
        columns.text(self.book);
        columns.f64(self.horizon_days);
        columns.f64(row.pnl_mark_tao);
        columns.f64(row.pnl_liquidation_tao);
        columns.f64(row.pnl_mark_usd);
        columns.f64(row.pnl_liquidation_usd);
        columns.optional_f64(row.pnl_exit_tao);
        columns.optional_f64(row.pnl_exit_usd);
        columns.f64(row.tao_usd);
        columns.f64(row.max_drawdown);
        columns.f64(row.longest_under_water_days);
        columns.f64(row.lowest_pnl_tao);
        columns.u32(u32::from(row.deregistered_holdings));
        columns.f64(row.weight);
    }
}

impl Row for EventRow {
    fn append(&self, columns: &mut Columns) {
        columns.u64(self.path);
        columns.u64(self.block);
        append_netuid(columns, self.netuid);
        columns.u64(self.registered_at);
        columns.text(self.kind.name());
        columns.f64(self.moving_price);
        columns.optional_f64(self.lock_cost_tao);
        columns.optional_f64(self.payout_tao_per_alpha);
    }
}

impl Row for SampleRow {
    fn append(&self, columns: &mut Columns) {
        columns.u64(self.path);
        columns.u32(self.step);
        columns.u64(self.block);
        append_netuid(columns, self.netuid);
        columns.u64(self.registered_at);
        columns.f64(self.reserve_tao);
        columns.f64(self.reserve_alpha);
        columns.f64(self.price);
        columns.f64(self.moving_price);
        columns.f64(self.emission_share);
        columns.f64(self.staked_alpha);
        columns.f64(self.outstanding_alpha);
        columns.f64(self.flow);
    }
}

impl Row for BlockRow {
    fn append(&self, columns: &mut Columns) {
        columns.u64(self.path);
        columns.u64(self.block);
        append_netuid(columns, self.id.netuid);
        columns.u64(self.id.registered_at);
        columns.f64(self.sampled_price);
        columns.f64(self.price);
        columns.f64(self.moving_price);
    }
}

impl Row for SummaryRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.book);
        columns.text(self.measure.name());
        columns.text(self.currency.name());
        columns.text(self.basis.name());
        columns.optional_f64(self.level);
        columns.f64(self.horizon_days);
        append_estimate(columns, Some(&self.estimate));
        columns.u64(self.estimate.samples);
    }
}

impl Row for SubnetRow {
    fn append(&self, columns: &mut Columns) {
        append_netuid(columns, self.opening.id.netuid);
        columns.u64(self.opening.id.registered_at);
        columns.text(&self.opening.name);
        columns.boolean(self.opening.held);
        columns.f64(self.opening.price);
        columns.f64(self.horizon_days);
        columns.u64(self.deregistration.samples);
        append_estimate(columns, Some(&self.deregistration));
        append_estimate(columns, self.hazard_per_day.as_ref());
        columns.u64(self.payout_tao_per_alpha.map_or(0, |payout| payout.samples));
        append_with_error(columns, self.payout_tao_per_alpha.as_ref());
        append_with_error(columns, self.loss_given_deregistration.as_ref());
        append_values(columns, self.price.as_ref());
        append_values(columns, self.emission_share.as_ref());
    }
}

impl Row for QuantileRow {
    fn append(&self, columns: &mut Columns) {
        append_netuid(columns, self.id.netuid);
        columns.u64(self.id.registered_at);
        columns.text(self.metric.name());
        columns.f64(self.horizon_days);
        columns.f64(self.probability);
        append_estimate(columns, self.estimate.as_ref());
        columns.u64(self.estimate.map_or(0, |estimate| estimate.samples));
    }
}

impl Row for RevenueFigure {
    fn append(&self, columns: &mut Columns) {
        append_netuid(columns, self.id.netuid);
        columns.u64(self.id.registered_at);
        columns.f64(self.horizon_days);
        columns.text(self.measure.name());
        append_estimate(columns, self.estimate.as_ref());
        columns.u64(self.estimate.map_or(0, |estimate| estimate.samples));
    }
}

impl Row for AttributionRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.book);
        columns.text(self.kind.name());
        append_optional_id(columns, self.id);
        columns.text(&self.name);
        columns.text(self.basis.name());
        columns.text(self.currency.name());
        columns.optional_f64(self.level);
        columns.f64(self.horizon_days);
        columns.text(self.measure.name());
        append_estimate(columns, Some(&self.estimate));
        columns.u64(self.estimate.samples);
        columns.optional_f64(self.share);
    }
}

impl Row for CreditRow {
    fn append(&self, columns: &mut Columns) {
        columns.text(&self.book);
        append_optional_id(columns, self.id);
        columns.text(&self.name);
        columns.text(&self.payout_rule);
        columns.f64(self.horizon_days);
        columns.text(self.measure.name());
        columns.optional_f64(self.level);
        append_estimate(columns, Some(&self.estimate));
        columns.u64(self.estimate.samples);
    }
}

fn append_optional_id(columns: &mut Columns, id: Option<SubnetId>) {
    columns.optional_u32(id.map(|id| u32::from(id.netuid.0)));
    columns.optional_u64(id.map(|id| id.registered_at));
}

fn append_netuid(columns: &mut Columns, netuid: NetUid) {
    columns.u32(u32::from(netuid.0));
}

/// Value, standard error and both ends of the interval.
fn append_estimate(columns: &mut Columns, estimate: Option<&Estimate>) {
    append_with_error(columns, estimate);
    columns.optional_f64(estimate.map(|estimate| estimate.ci_low));
    columns.optional_f64(estimate.map(|estimate| estimate.ci_high));
}

fn append_with_error(columns: &mut Columns, estimate: Option<&Estimate>) {
    columns.optional_f64(estimate.map(|estimate| estimate.value));
    columns.optional_f64(estimate.map(|estimate| estimate.standard_error));
}

fn append_values(columns: &mut Columns, estimates: Option<&[Estimate; 3]>) {
    for index in 0..3 {
        columns.optional_f64(estimates.map(|estimates| estimates[index].value));
    }
}
