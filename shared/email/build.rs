//! Compiles `lists/*.txt` into three automata, which the crate includes: `domains.fst` (a domain written backwards, to
//! its flags), `free.fst` (a set of domains) and `roles.fst` (a set of local parts). Backwards, so that one walk from the
//! last label meets every parent domain on its way. Free providers stand apart because parsing asks for them and for
//! nothing else: a function that only parses does not carry the long lists.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

#[path = "src/flags.rs"]
mod flags;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=lists");
    println!("cargo::rerun-if-changed=src/flags.rs");
    let out = env::var("OUT_DIR")?;

    let mut domains = BTreeMap::<String, u64>::new();
    let mut set = |domain: &str, flag: u64| {
        *domains.entry(backwards(domain)).or_default() |= flag;
    };
    for (file, flag) in [("disposable", flags::DISPOSABLE), ("suspected", flags::SUSPECTED)] {
        for domain in fs::read_to_string(format!("lists/{file}.txt"))?.lines() {
            set(domain, flag);
        }
    }
    for line in fs::read_to_string("lists/overrides.txt")?.lines() {
        match line.split_once(' ') {
            Some(("allow", domain)) => set(domain, flags::ALLOWED),
            Some(("deny", domain)) => set(domain, flags::DISPOSABLE),
            Some(("#", _)) => {}
            _ => return Err(format!("lists/overrides.txt: neither `allow` nor `deny`: {line:?}").into()),
        }
    }
    fs::write(
        Path::new(&out).join("domains.fst"),
        fst::Map::from_iter(domains.iter().map(|(d, flags)| (d, *flags)))?.as_fst().as_bytes(),
    )?;

    // The providers' lists hold disposable domains too.
    let disposable = |domain: &str| {
        let above = domain.match_indices('.').map(|(dot, _)| &domain[dot + 1..]);
        let listed = above.chain([domain]).filter_map(|name| domains.get(&backwards(name)));
        let seen = listed.fold(0, |seen, flags| seen | flags);
        seen & flags::DISPOSABLE != 0 && seen & flags::ALLOWED == 0
    };
    let free = fs::read_to_string("lists/free.txt")?;
    let free: BTreeSet<&str> = free.lines().filter(|domain| !disposable(domain)).collect();
    fs::write(Path::new(&out).join("free.fst"), fst::Set::from_iter(free)?.as_fst().as_bytes())?;

    let roles = fs::read_to_string("lists/role.txt")?;
    let mut roles: Vec<&str> = roles.lines().collect();
    roles.sort_unstable();
    fs::write(Path::new(&out).join("roles.fst"), fst::Set::from_iter(roles)?.as_fst().as_bytes())?;
    Ok(())
}

fn backwards(domain: &str) -> String {
    domain.chars().rev().collect()
}
