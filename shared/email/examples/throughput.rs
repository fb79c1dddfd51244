//! Decides every line of a file on one core, and prints what it took as one line of JSON.
//!
//! `throughput FILE` reads FILE; `throughput --write FILE COUNT` writes a list to read.
#![expect(clippy::print_stdout, reason = "the measurement is the program's output")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use email::route::{MailRoute, MxHost};
use email::{EmailAddress, inspect, verdict};

mod sample;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write", file, count] => {
            Ok(std::fs::write(file, sample::addresses(count.parse()?).join("\n") + "\n")?)
        }
        [file] => {
            measure(&std::fs::read_to_string(file)?);
            Ok(())
        }
        _ => Err("usage: throughput FILE | throughput --write FILE COUNT".into()),
    }
}

fn measure(list: &str) {
    let route =
        MailRoute::Mx { hosts: vec![MxHost { preference: 10, exchange: "mx1.example.net".to_owned() }] };
    // The lists are opened on first use; that is not a cost per address.
    black_box(verdict(&inspect("jane@gmial.con"), Some(&route), None));

    let start = Instant::now();
    let sound = list.lines().filter(|line| EmailAddress::parse(black_box(line)).is_ok()).count();
    let parse = start.elapsed().as_secs_f64();

    let start = Instant::now();
    for line in list.lines() {
        black_box(verdict(&inspect(black_box(line)), Some(&route), None));
    }
    let decide = start.elapsed().as_secs_f64();

    let rows = list.lines().count();
    println!(r#"{{"rows":{rows},"sound":{sound},"parse_seconds":{parse},"decide_seconds":{decide}}}"#);
}
