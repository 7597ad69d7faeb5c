//! Rows of a batch as bytes and back, bit for bit: what journals are made of.
//!
//! Numbers are little-endian, cells follow one another in the order of the fields, a list is its length (u32) and its rows.
//! Reading takes any bytes: it gives the rows, or nothing.

use crate::engine::record::DeregistrationRow;
use crate::engine::record::EventKind;
use crate::engine::record::EventRow;
use crate::engine::record::FactorRow;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::record::RevenueRow;
use crate::engine::record::SampleRow;
use crate::engine::record::SettlementRow;
use crate::engine::revenue::RevenueFigures;
use crate::risk::histogram::CellCount;
use crate::units::NetUid;

/// Something with a fixed form in bytes.
pub(crate) trait Cell: Sized {
    /// Fewest bytes that one takes.
    const BYTES_MIN: usize;

    /// Appends it.
    fn put(&self, bytes: &mut Vec<u8>);

    /// Takes one off the front; `None` where the bytes are none.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($number:ty),*) => {$(
        impl Cell for $number {
            const BYTES_MIN: usize = size_of::<$number>();

            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                bytes.split_off(..size_of::<$number>()).map(|own| Self::from_le_bytes(own.try_into().expect("its length")))
            }
        }
    )*};
}

/// A struct is its fields, in order.
macro_rules! record {
    ($record:ident { $($field:ident: $cell:ty),* $(,)? }) => {
        impl Cell for $record {
            const BYTES_MIN: usize = 0 $(+ <$cell as Cell>::BYTES_MIN)*;

            fn put(&self, bytes: &mut Vec<u8>) {
                $(self.$field.put(bytes);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: <$cell as Cell>::take(bytes)?),* })
            }
        }
    };
}

number!(u8, u16, u32, u64, f64);

impl Cell for Option<f64> {
    const BYTES_MIN: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        u8::from(self.is_some()).put(bytes);
        self.iter().for_each(|value| value.put(bytes));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(None),
            1 => f64::take(bytes).map(Some),
            _ => None,
        }
    }
}

impl Cell for NetUid {
    const BYTES_MIN: usize = u16::BYTES_MIN;

    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u16::take(bytes).map(Self)
    }
}

/// In the order of their numbers in files.
const EVENT_KINDS: [EventKind; 4] =
    [EventKind::Registered, EventKind::Deregistered, EventKind::Started, EventKind::EmissionEnabled];

impl Cell for EventKind {
    const BYTES_MIN: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        let number = EVENT_KINDS.iter().position(|kind| kind == self).expect("all kinds are listed");
        (number as u8).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        EVENT_KINDS.get(usize::from(u8::take(bytes)?)).copied()
    }
}

record!(RevenueFigures { revenue_usd: f64, buyback_tao: f64, miner_tao: f64, withheld_tao: f64 });
record!(CellCount { cell: u32, count: u32 });
record!(PositionValue { mark_tao: f64, liquidation_tao: f64, earned_tao: f64 });
record!(RevenueRow { path: u64, subnet: u16, horizon: u16, total: RevenueFigures });
record!(FactorRow { path: u64, horizon: u16, common: f64 });
record!(DeregistrationRow {
    path: u64,
    slot: u16,
    horizon: u16,
    block: u64,
    payout_tao_per_alpha: f64,
    price_before: f64
});
record!(SettlementRow {
    path: u64,
    book: u16,
    position: u16,
    horizon: u16,
    block: u64,
    mark_tao: f64,
    paid_tao: f64,
    entrant_lock_tao: f64,
});
record!(EventRow {
    path: u64,
    block: u64,
    netuid: NetUid,
    registered_at: u64,
    kind: EventKind,
    moving_price: f64,
    lock_cost_tao: Option<f64>,
    payout_tao_per_alpha: Option<f64>,
});
record!(SampleRow {
    path: u64,
    step: u32,
    block: u64,
    netuid: NetUid,
    registered_at: u64,
    reserve_tao: f64,
    reserve_alpha: f64,
    price: f64,
    moving_price: f64,
    emission_share: f64,
    staked_alpha: f64,
    outstanding_alpha: f64,
    flow: f64,
});
record!(PathRow {
    path: u64,
    book: u16,
    horizon: u16,
    pnl_mark_tao: f64,
    pnl_liquidation_tao: f64,
    pnl_mark_usd: f64,
    pnl_liquidation_usd: f64,
    pnl_exit_tao: Option<f64>,
    pnl_exit_usd: Option<f64>,
    tao_usd: f64,
    max_drawdown: f64,
    longest_under_water_days: f64,
    lowest_pnl_tao: f64,
    deregistered_holdings: u16,
    weight: f64,
});

/// Appends a list.
pub(crate) fn put_list<C: Cell>(rows: &[C], bytes: &mut Vec<u8>) {
    (rows.len() as u32).put(bytes);
    rows.iter().for_each(|row| row.put(bytes));
}

/// Takes a list off the front.
pub(crate) fn take_list<C: Cell>(bytes: &mut &[u8]) -> Option<Vec<C>> {
    let count = u32::take(bytes)? as usize;
    // A length that is none must not ask for memory.
    if count.checked_mul(C::BYTES_MIN)? > bytes.len() {
        return None;
    }
    (0..count).map(|_| C::take(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(kind: EventKind, lock_cost_tao: Option<f64>) -> EventRow {
        let (path, block, netuid, registered_at) = (1, 2, NetUid(77), 4);
        EventRow {
            path,
            block,
            netuid,
            registered_at,
            kind,
            moving_price: 0.5,
            lock_cost_tao,
            payout_tao_per_alpha: None,
        }
    }

    #[test]
    fn rows_come_back() {
        let events = EVENT_KINDS.map(|kind| event(kind, (kind == EventKind::Registered).then_some(-0.0)));
        let paths = [PathRow { path: u64::MAX, pnl_exit_tao: Some(f64::MIN_POSITIVE), weight: 0.1, ..PathRow::EMPTY }];
        let mut bytes = Vec::new();
        put_list(&events, &mut bytes);
        put_list(&paths, &mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(take_list::<EventRow>(&mut rest).unwrap(), events);
        assert_eq!(take_list::<PathRow>(&mut rest).unwrap(), paths);
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_cut_off_is_no_list() {
        let mut bytes = Vec::new();
        put_list(&[event(EventKind::Started, Some(1.0))], &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(take_list::<EventRow>(&mut &bytes[..length]), None, "{length}");
        }
        assert_eq!(take_list::<f64>(&mut [255; 12].as_slice()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_none(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut rest = bytes.as_slice();
            if let Some(rows) = take_list::<EventRow>(&mut rest) {
                let mut again = Vec::new();
                put_list(&rows, &mut again);
                prop_assert_eq!(again.as_slice(), &bytes[..bytes.len() - rest.len()]);
            }
            prop_assert!(take_list::<SettlementRow>(&mut bytes.as_slice()).is_none_or(|rows| rows.len() < 10));
        }
    }
}
