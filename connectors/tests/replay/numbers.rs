//! Collections and generators at every offset.

use highwater_connectors::collection::Collection;
use highwater_connectors::generator::Generator;
use highwater_connectors::nexmark;
use highwater_core::source::{Poll, Reader, Source};

use crate::{check, stored};

#[test]
fn a_collection_goes_on_at_every_value() {
    for (count, workers) in [(0, 1), (1, 3), (30, 1), (31, 4)] {
        assert_eq!(
            check(&Collection::timestamped((0..count).map(|n| (n, n))), workers),
            count as usize
        );
    }
}

#[test]
fn a_generator_goes_on_at_every_number() {
    for count in [0, 1, 7, 40, 100] {
        for workers in 1..4 {
            assert_eq!(check(&Generator::new(count, |n| n), workers), count as usize);
        }
    }
}

#[test]
fn nexmark_goes_on_at_every_event() {
    let nexmark = nexmark::Generator::new(nexmark::GeneratorConfig::default());
    assert_eq!(check(&Generator::new(150, move |n| nexmark.event(n)), 2), 150);
}

/// Splits are those of the first start, whoever reads them later: two numbers of workers would
/// cut the numbers differently.
#[test]
fn generators_without_an_end_go_on_in_the_middle_and_at_the_end_of_a_block() {
    let source = Generator::unbounded(|n| n);
    for split in source.splits(3).unwrap() {
        for first in [1, 1023, 1024, 1025, 5000] {
            let (mut reader, mut out) = (source.open(&split).unwrap(), Vec::new());
            assert_eq!(reader.poll(&mut out, first).unwrap(), Poll::More);
            let mut resumed = source.resume(&stored(&split), &stored(&reader.offset())).unwrap();
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            reader.poll(&mut expected, 3000).unwrap();
            resumed.poll(&mut found, 3000).unwrap();
            assert_eq!(found, expected, "after {first} numbers");
        }
    }
}
