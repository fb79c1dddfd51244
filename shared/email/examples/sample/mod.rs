//! A made-up contact list with the mix of a real one: mostly sound, some slips, some rubbish.

/// `count` addresses, always the same ones.
pub(crate) fn addresses(count: usize) -> Vec<String> {
    const FIRST: [&str; 12] = [
        "jane",
        "omar",
        "li",
        "sofia",
        "Peter",
        "anna.maria",
        "k",
        "jürgen",
        "info",
        "support",
        "n.okafor",
        "max",
    ];
    const LAST: [&str; 10] =
        ["doe", "smith", "garcia", "nowak", "Rossi", "tanaka", "mueller", "van-dijk", "singh", "o'brien"];
    const FREE: [&str; 8] = [
        "gmail.com",
        "yahoo.com",
        "hotmail.com",
        "outlook.com",
        "icloud.com",
        "gmx.de",
        "orange.fr",
        "aol.com",
    ];
    const REST: [&str; 8] = [
        "gmial.com",
        "hotmai.com",
        "mailinator.com",
        "exämple.de",
        "Example.ORG",
        "yahoo.con",
        "mail.example.co.uk",
        "duck.com",
    ];
    // A linear congruence (Knuth's MMIX constants): the list must not change between runs.
    let mut state = 42_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..count)
        .map(|row| {
            let local = match next(4) {
                0 => format!("{}{}", FIRST[next(12)], next(1000)),
                1 => FIRST[next(12)].to_owned(),
                _ => format!("{}.{}", FIRST[next(12)], LAST[next(10)]),
            };
            match next(100) {
                0..50 => format!("{local}@{}", FREE[next(8)]),
                50..85 => format!("{local}@{}-{}.com", LAST[next(10)], row % 997),
                85..95 => format!("{local}@{}", REST[next(8)]),
                95 => format!("{local} @example.org"),
                96 => format!("<{local}@example.org>"),
                97 => local,
                98 => format!("{local}@example..org"),
                _ => format!("{local}@@example.org"),
            }
        })
        .collect()
}
