//! Making a history smaller.

use crate::history::History;

/// Histories that are a little smaller: shorter ones first, then those that lack one step.
pub fn smaller(history: &History) -> Vec<History> {
    let groups = history.groups.len();
    let with = |groups| History { groups, ..history.clone() };
    let mut found: Vec<History> = Vec::new();
    // Prefixes: half of it, then all but one.
    for length in [groups / 2, groups.saturating_sub(1)] {
        if length > 0 && length < groups {
            found.push(with(history.groups[..length].to_vec()));
        }
    }
    for at in 0..groups {
        for step in 0..history.groups[at].len() {
            let mut fewer = history.groups.clone();
            fewer[at].remove(step);
            fewer.retain(|group| !group.is_empty());
            if !fewer.is_empty() {
                found.push(with(fewer));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    #[test]
    fn every_candidate_has_fewer_steps_and_the_same_purchases() {
        let history = generate(3);
        let steps = history.steps().count();
        let candidates = smaller(&history);
        assert!(candidates.len() >= steps);
        for candidate in candidates {
            assert!((1..steps).contains(&candidate.steps().count()));
            assert_eq!(candidate.purchases, history.purchases);
        }
    }
}
