//! Which lots pay. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::{Lot, LotId};

/// So many credits of one lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allocation {
    /// The lot.
    pub lot: LotId,
    /// How many credits.
    pub credits: u64,
}

/// Takes `credits` from the lots, oldest first. `None` if they do not cover it.
pub fn allocate(lots: &[Lot], credits: u64) -> Option<Vec<Allocation>> {
    let mut by_age: Vec<&Lot> = lots.iter().collect();
    by_age.sort_by_key(|lot| lot.id);
    let mut missing = credits;
    let mut taken = Vec::new();
    for lot in by_age {
        let take = missing.min(lot.remaining);
        if take > 0 {
            taken.push(Allocation { lot: lot.id, credits: take });
            missing -= take;
        }
    }
    (missing == 0).then_some(taken)
}

/// What goes back to which lot when `charged` of the allocated credits are kept: the charge eats the allocations in their
/// order, so that the lot that was to be spent first is.
pub fn give_back(lots: &[Allocation], charged: u64) -> Vec<Allocation> {
    let mut charge = charged;
    lots.iter()
        .filter_map(|a| {
            let kept = charge.min(a.credits);
            charge -= kept;
            (a.credits > kept).then_some(Allocation { lot: a.lot, credits: a.credits - kept })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::GrantSource;

    fn lots(remaining: &[u64]) -> Vec<Lot> {
        remaining
            .iter()
            .map(|&remaining| Lot {
                id: LotId::new(),
                source: GrantSource::Manual,
                source_id: String::new(),
                credits: remaining,
                remaining,
                granted_at: Timestamp::UNIX_EPOCH,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn credits_are_neither_made_nor_lost(remaining in prop::collection::vec(0u64..1000, 0..8), wanted in 0u64..4000, part in 0.0f64..=1.0) {
            let lots = lots(&remaining);
            let total: u64 = remaining.iter().sum();
            match allocate(&lots, wanted) {
                None => prop_assert!(wanted > total),
                Some(taken) => {
                    prop_assert_eq!(taken.iter().map(|a| a.credits).sum::<u64>(), wanted);
                    for a in &taken {
                        let lot = lots.iter().find(|l| l.id == a.lot).unwrap();
                        prop_assert!(a.credits > 0 && a.credits <= lot.remaining);
                    }
                    let charged = (wanted as f64 * part) as u64;
                    let back = give_back(&taken, charged);
                    prop_assert_eq!(back.iter().map(|a| a.credits).sum::<u64>(), wanted - charged);
                    for b in &back {
                        prop_assert!(taken.iter().any(|t| t.lot == b.lot && t.credits >= b.credits));
                    }
                }
            }
        }
    }
}
