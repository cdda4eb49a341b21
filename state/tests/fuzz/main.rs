//! Corrupted snapshots by the ten thousand (`HIGHWATER_LONG=1` for a million): each is refused with
//! a typed error, or says exactly what is read from it. Never a panic.
//!
//! - *Damaged*: flipped, cut, moved, doubled, removed or exchanged with bytes of another part, the
//!   checksums left as they were. All are refused as corrupt: would catch a byte that no checksum
//!   covers, and a checksum of one part that holds in another.
//! - *Sealed*: the same, and lengths and counts replaced on purpose, with checksums made right
//!   again: would catch a length that is used before it is checked, and a block that is skipped.
//! - *Rewritten*: a part properly written with entries whose bytes are wrong: would catch a decoder
//!   of values that panics, or that takes what its schema does not describe.
//!
//! What is accepted of the last two families must be exactly decodable: as many entries as
//! declared, each value what the stored schema says to the last byte, each key in its own group,
//! and writing what was read and reading it again changes nothing.
//!
//! Each is also shown without its types, which refuses all that is damaged, and nothing that is read.
//!
//! A number within a value may be longer than it need be, 87 00 for 7: counted as *equivalent*.
//!
//! All cases come from one seed (`HIGHWATER_SEED`, 1 if not set); a failure names the case, and the
//! same seed shows it again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports figures")]

#[path = "../support/mod.rs"]
mod support;

mod mutate;
mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use highwater_core::error::ErrorKind;
use highwater_state::format::FormatError;

use mutate::Family;
use subject::{Subject, Verdict};
use support::damage::Random;

/// What became of the cases of a family.
#[derive(Default)]
struct Tally {
    cases: usize,
    refused: usize,
    /// Accepted, and the same bytes would be written again.
    same: usize,
    /// Accepted, but written in another way: numbers that are longer than they need be.
    equivalent: usize,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

#[test]
fn corrupted_snapshots_are_refused_or_exactly_decoded() {
    let cases = if number("HIGHWATER_LONG") == Some(1) { 1_000_000 } else { 20_000 };
    let mut random = Random(number("HIGHWATER_SEED").unwrap_or(1));
    let subjects = subject::subjects();
    let parts: Vec<&[u8]> = subjects.iter().map(|subject| subject.part.as_slice()).collect();
    let began = Instant::now();
    let mut tallies = [(); 3].map(|()| Tally::default());
    for case in 0..cases {
        let subject = &subjects[random.below(subjects.len())];
        let family = Family::ALL[random.below(Family::ALL.len())];
        let bytes = mutate::mutate(family, &subject.part, &parts, &mut random);
        let name = subject.name;
        let Ok(verdict) = catch_unwind(AssertUnwindSafe(|| (subject.read)(&bytes))) else {
            panic!("case {case}, {family:?} {name}: reading it panics: {bytes:02x?}");
        };
        let shown = catch_unwind(AssertUnwindSafe(|| subject::show(&bytes)));
        let Ok(shown) = shown else {
            panic!("case {case}, {family:?} {name}: showing it panics: {bytes:02x?}");
        };
        let is_read = !matches!(verdict, Verdict::Refused(_));
        assert!(!is_read || shown.is_ok(), "case {case}, {family:?} {name}: {shown:?}");
        let damaged = family == Family::Damaged && shown.is_ok();
        assert!(!damaged, "case {case}, {name}: a damaged part is shown");
        let tally = &mut tallies[family as usize];
        tally.cases += 1;
        match verdict {
            Verdict::Refused(error) => {
                tally.refused += 1;
                let known = error.kind() == ErrorKind::Corrupt
                    || matches!(error, FormatError::Version { .. })
                    || family != Family::Damaged;
                assert!(known, "case {case}, {family:?} {name}: damage is no {error:?}");
                assert!(!error.to_string().is_empty());
            }
            Verdict::Wrong(why) => {
                panic!("case {case}, {family:?} {name}: accepted, but {why}: {bytes:02x?}")
            }
            Verdict::Same => tally.same += 1,
            Verdict::Equivalent => tally.equivalent += 1,
        }
    }
    report(&tallies, began.elapsed().as_secs_f64());
    let [damaged, sealed, rewritten] = &tallies;
    assert_eq!(damaged.refused, damaged.cases, "damaged parts are accepted");
    // What is always refused at the same place would not test what is behind it.
    assert!(sealed.same + sealed.equivalent > sealed.cases / 200);
    assert!(rewritten.same + rewritten.equivalent > rewritten.cases / 10);
    assert!(rewritten.refused > rewritten.cases / 10);
}

fn report(tallies: &[Tally; 3], seconds: f64) {
    println!("              cases   refused      same  equivalent");
    for (family, tally) in Family::ALL.iter().zip(tallies) {
        let Tally { cases, refused, same, equivalent } = tally;
        let name = family.name();
        println!("{name:<9} {cases:>9} {refused:>9} {same:>9} {equivalent:>11}");
    }
    println!("{seconds:.1} s");
}

#[test]
fn parts_that_are_not_corrupted_are_read_as_they_were_written() {
    let names: Vec<&str> = subject::subjects()
        .iter()
        .map(|Subject { name, part, read }| {
            let verdict = read(part);
            let whole = matches!(verdict, Verdict::Same | Verdict::Equivalent);
            assert!(whole, "{name}: {verdict:?}");
            *name
        })
        .collect();
    assert_eq!(names.len(), 9, "{names:?}");
}
