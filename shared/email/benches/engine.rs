//! The engine alone, without DNS: how many addresses a second one core decides.
//!
//! `cargo bench -p email`. Budget: 300,000 addresses/s (docs/benchmarks.md); `benches/compare.py` sets it beside
//! another validator.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use email::route::{MailRoute, MxHost};
use email::{EmailAddress, Verification, inspect, verdict};

#[path = "../examples/sample/mod.rs"]
mod sample;

fn main() {
    divan::main();
}

fn route() -> MailRoute {
    MailRoute::Mx { hosts: vec![MxHost { preference: 10, exchange: "mx1.example.net".into() }] }
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let list = sample::addresses(10_000);
    bencher
        .counter(ItemsCount::new(list.len()))
        .bench(|| list.iter().filter(|a| EmailAddress::parse(black_box(a)).is_ok()).count());
}

#[divan::bench]
fn inspect_and_verdict(bencher: Bencher<'_, '_>) {
    let (list, route) = (sample::addresses(10_000), route());
    bencher.counter(ItemsCount::new(list.len())).bench(|| {
        list.iter()
            .map(|a| verdict(&inspect(black_box(a)), Some(&route), None).sub_status as usize)
            .sum::<usize>()
    });
}

#[divan::bench]
fn whole_result(bencher: Bencher<'_, '_>) {
    let (list, route) = (sample::addresses(10_000), route());
    bencher.counter(ItemsCount::new(list.len())).bench(|| {
        for address in &list {
            black_box(Verification::new(inspect(black_box(address)), Some(&route), None));
        }
    });
}
