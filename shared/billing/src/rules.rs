//! Which lots pay, and what becomes of a lot. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::{Claim, Lot, LotId};

/// So much of one lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allocation {
    /// The lot.
    pub lot: LotId,
    /// How much.
    pub amount: u64,
    /// When the lot expires, if ever: what comes back to it later is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// How much of a payment was asked back, in all, in the units of the lot that it bought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clawback {
    /// By the merchant.
    pub refund: u64,
    /// By the payer's bank.
    pub chargeback: u64,
}

impl Lot {
    /// The lot as it is once everything due by `now` is done: what came back to it goes to whoever claims it, and what is left
    /// after its time has expired. It depends on nothing but the lot, so it can be asked before it is written.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        self.clawed(Clawback { refund: self.refund.asked, chargeback: self.chargeback.asked }, now)
    }

    /// The lot once so much in all is asked back. Nothing but the sums counts, not the order in which they came: a refund has
    /// what is unused; a chargeback has the rest of what did not expire, also if that was spent.
    #[must_use]
    pub fn clawed(&self, asked: Clawback, now: Timestamp) -> Self {
        let refund = asked.refund.min(self.amount);
        let chargeback = asked.chargeback.min(self.amount - refund);
        let unused = self.remaining + signed(self.refund.taken) + signed(self.chargeback.taken);
        let refunded = refund.min(u64::try_from(unused).unwrap_or(0));
        let charged_back = chargeback.min(self.amount.saturating_sub(self.expired + refunded));
        let remaining = unused - signed(refunded) - signed(charged_back);
        let worthless = if self.expires_at.is_some_and(|end| end <= now) { remaining.max(0) } else { 0 };
        Self {
            remaining: remaining - worthless,
            expired: self.expired + u64::try_from(worthless).unwrap_or(0),
            refund: Claim { asked: refund, taken: refunded },
            chargeback: Claim { asked: chargeback, taken: charged_back },
            ..self.clone()
        }
    }
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Takes `amount` from the lots, as they are [`Lot::at`] the time: by priority, then expiry, then age. `None` if they do not
/// cover it.
pub fn allocate(lots: &[Lot], amount: u64) -> Option<Vec<Allocation>> {
    let mut in_order: Vec<&Lot> = lots.iter().collect();
    in_order.sort_by_key(|lot| (lot.priority, lot.expires_at.unwrap_or(Timestamp::MAX), lot.id));
    let mut missing = amount;
    let mut taken = Vec::new();
    for lot in in_order {
        let take = missing.min(u64::try_from(lot.remaining).unwrap_or(0));
        if take > 0 {
            taken.push(Allocation { lot: lot.id, amount: take, expires_at: lot.expires_at });
            missing -= take;
        }
    }
    (missing == 0).then_some(taken)
}

/// What goes back to which lot when `charged` of the allocated amounts are kept: the charge eats the allocations in their
/// order, so that the lot that was to be spent first is.
pub fn give_back(lots: &[Allocation], charged: u64) -> Vec<Allocation> {
    let mut charge = charged;
    lots.iter()
        .filter_map(|a| {
            let kept = charge.min(a.amount);
            charge -= kept;
            (a.amount > kept).then_some(Allocation { amount: a.amount - kept, ..*a })
        })
        .collect()
}

/// What of `lots` is not in `part`, which came of them.
pub(crate) fn without(lots: &[Allocation], part: &[Allocation]) -> Vec<Allocation> {
    lots.iter()
        .filter_map(|a| {
            let gone = part.iter().find(|p| p.lot == a.lot).map_or(0, |p| p.amount);
            (a.amount > gone).then_some(Allocation { amount: a.amount - gone, ..*a })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::GrantSource;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn lot(amount: u64) -> Lot {
        Lot {
            id: LotId::new(),
            source: GrantSource::Purchase,
            source_id: String::new(),
            name: None,
            amount,
            remaining: signed(amount),
            priority: 10,
            expires_at: None,
            expired: 0,
            refund: Claim::default(),
            chargeback: Claim::default(),
            granted_at: NOW,
        }
    }

    fn ends(seconds: i64) -> Option<Timestamp> {
        Some(NOW + SignedDuration::from_secs(seconds))
    }

    #[test]
    fn lots_are_spent_by_priority_then_expiry_then_age() {
        let mut lots: Vec<Lot> = (0..5).map(|_| lot(10)).collect();
        lots[0].priority = 20;
        lots[2].expires_at = ends(100);
        lots[3].expires_at = ends(50);
        lots[4].expires_at = ends(50);
        // Made in the same millisecond, ids need not rise.
        let mut ids: Vec<LotId> = lots.iter().map(|lot| lot.id).collect();
        ids.sort();
        lots.iter_mut().zip(ids).for_each(|(lot, id)| lot.id = id);
        let order: Vec<LotId> = allocate(&lots, 50).unwrap().iter().map(|a| a.lot).collect();
        assert_eq!(order, [3, 4, 2, 1, 0].map(|at: usize| lots[at].id));
    }

    #[test]
    fn a_lot_that_owes_pays_for_nothing() {
        let mut owing = lot(10);
        owing.remaining = -5;
        assert_eq!(allocate(&[owing], 1), None);
    }

    #[test]
    fn a_refund_has_what_is_left_and_what_comes_back() {
        let mut bought = lot(1000);
        bought.remaining = 300; // the others are held
        let after = bought.clawed(Clawback { refund: 1000, chargeback: 0 }, NOW);
        assert_eq!((after.remaining, after.refund), (0, Claim { asked: 1000, taken: 300 }));
        let returned = Lot { remaining: 200, ..after };
        let after = returned.at(NOW);
        assert_eq!((after.remaining, after.refund.taken), (0, 500));
    }

    #[test]
    fn a_chargeback_has_all_of_it_but_what_expired() {
        let mut bought = lot(1000);
        bought.remaining = 300;
        let asked = Clawback { refund: 0, chargeback: 1000 };
        assert_eq!(bought.clawed(asked, NOW).remaining, -700);
        let expired = Lot { expires_at: ends(0), ..bought }.at(NOW);
        assert_eq!((expired.remaining, expired.expired), (0, 300));
        let after = expired.clawed(asked, NOW);
        assert_eq!((after.remaining, after.chargeback), (-700, Claim { asked: 1000, taken: 700 }));
    }

    #[test]
    fn what_comes_back_after_its_time_expires_again() {
        let late = Lot { expires_at: ends(0), remaining: 0, expired: 900, ..lot(1000) };
        let after = Lot { remaining: 100, ..late }.at(NOW);
        assert_eq!((after.remaining, after.expired), (0, 1000));
    }

    proptest! {
        #[test]
        fn nothing_is_made_or_lost(remaining in prop::collection::vec(0u64..1000, 0..8), wanted in 0u64..4000, part in 0.0f64..=1.0) {
            let lots: Vec<Lot> = remaining.iter().map(|&r| lot(r)).collect();
            let total: u64 = remaining.iter().sum();
            match allocate(&lots, wanted) {
                None => prop_assert!(wanted > total),
                Some(taken) => {
                    prop_assert_eq!(taken.iter().map(|a| a.amount).sum::<u64>(), wanted);
                    for a in &taken {
                        let lot = lots.iter().find(|l| l.id == a.lot).unwrap();
                        prop_assert!(a.amount > 0 && signed(a.amount) <= lot.remaining);
                    }
                    let charged = (wanted as f64 * part) as u64;
                    let back = give_back(&taken, charged);
                    let kept = without(&taken, &back);
                    prop_assert_eq!(back.iter().map(|a| a.amount).sum::<u64>(), wanted - charged);
                    prop_assert_eq!(kept.iter().map(|a| a.amount).sum::<u64>(), charged);
                    for b in &back {
                        prop_assert!(taken.iter().any(|t| t.lot == b.lot && t.amount >= b.amount));
                    }
                }
            }
        }

        #[test]
        fn claims_count_by_their_sums_and_not_by_their_order(
            amount in 1u64..1000, used in 0u64..1000, steps in prop::collection::vec((0u64..1200, 0u64..1200), 1..6), expires in any::<bool>(),
        ) {
            let used = used.min(amount);
            let start = Lot { remaining: signed(amount - used), expires_at: expires.then_some(NOW + SignedDuration::from_secs(9)), ..lot(amount) };
            let (refund, chargeback) = *steps.last().unwrap();
            let last = Clawback { refund, chargeback };
            let walked = steps.iter().fold(start.clone(), |lot, &(refund, chargeback)| lot.clawed(Clawback { refund, chargeback }, NOW));
            prop_assert_eq!(&walked, &start.clawed(last, NOW));
            prop_assert_eq!(&walked.at(NOW), &walked, "nothing is left to do");
            // What was used plus what is accounted for is what was granted.
            let accounted = walked.remaining + signed(walked.refund.taken + walked.chargeback.taken + walked.expired + used);
            prop_assert_eq!(accounted, signed(amount));
            prop_assert_eq!(walked.clawed(Clawback::default(), NOW), start, "and all of it can be taken back");
        }
    }
}
