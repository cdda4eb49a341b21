//! Values come back as they were, whatever happens to the buffer in between. Run under Miri, these
//! would catch unaligned references, padding that is read, and references that are not valid.

use super::*;

/// Numbers that are the same in every run.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    (seed..).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

fn text(number: u64) -> String {
    "abcdefghijklmnopqrstuvwxyz \u{e9}".chars().cycle().take((number % 40) as usize).collect()
}

/// Sets values aside, one by one, and looks at all of them after each, in both orders.
fn assert_kept<T: Abomonable + Clone + PartialEq + fmt::Debug>(values: &[T]) {
    let mut scratch = Scratch::new();
    for round in 0..2 {
        for (i, value) in values.iter().enumerate() {
            assert_eq!(scratch.push(&value.clone()), i, "round {round}");
            assert_eq!(scratch.get(i), Some(value));
            assert_eq!(scratch.get(i / 2), Some(&values[i / 2]));
        }
        let mut moved = scratch;
        for (i, value) in values.iter().enumerate().rev() {
            let copy = moved.get(i).cloned();
            assert_eq!(copy.as_ref(), Some(value));
        }
        assert!(moved.get(values.len()).is_none() && moved.len() == values.len());
        moved.clear();
        assert!(moved.is_empty() && moved.get(0).is_none() && moved.bytes() == 0);
        scratch = moved;
    }
}

#[test]
fn values_come_back_as_they_were() {
    let some = || numbers(1).take(20);
    assert_kept(&some().collect::<Vec<u64>>());
    assert_kept(&some().map(|n| (u128::from(n) << 64, n, n as i64)).collect::<Vec<_>>());
    assert_kept(
        &some().map(|n| (n as f64, n as u32, n as u16, n as u8, n % 2 == 0)).collect::<Vec<_>>(),
    );
    assert_kept(&['a', '\u{e9}', '\u{1f30a}']);
    assert_kept(&some().map(text).collect::<Vec<_>>());
    assert_kept(&some().map(|n| (n, text(n), text(n / 7))).collect::<Vec<_>>());
    assert_kept(&some().map(|n| vec![n as u8; (n % 19) as usize]).collect::<Vec<_>>());
}

#[test]
fn what_values_own_is_aligned_and_nested() {
    let some = || numbers(7).take(12);
    let pairs =
        |n: u64| numbers(n).map(|m| (m, m as i64)).take((n % 5) as usize).collect::<Vec<_>>();
    assert_kept(&some().map(|n| (n, pairs(n), text(n))).collect::<Vec<_>>());
    let named =
        |n: u64| numbers(n).map(|m| (m, text(m))).take((n % 4) as usize).collect::<Vec<_>>();
    assert_kept(&some().map(named).collect::<Vec<_>>());
    assert_kept(&some().map(|n| vec![pairs(n), vec![], pairs(n / 3)]).collect::<Vec<_>>());
    assert_kept(&some().map(|n| (pairs(n), vec![text(n), text(n + 1)])).collect::<Vec<_>>());
}

#[test]
fn values_begin_at_sixteen_bytes_and_are_counted() {
    let mut scratch = Scratch::<String>::default();
    assert_eq!((scratch.len(), scratch.bytes()), (0, 0));
    for text in ["", "123456789", ""] {
        scratch.push(&text.to_owned());
    }
    // 24 bytes each, and 9 of text.
    assert_eq!((scratch.len(), scratch.bytes()), (3, 32 + 48 + 32));
    assert_eq!(format!("{scratch:?}"), "Scratch(3 values in 112 bytes)");
    let address = scratch.get(1).map(|text| std::ptr::from_ref(text).addr());
    assert!(address.is_some_and(|address| address.is_multiple_of(ALIGN)));
}

#[test]
fn a_buffer_may_go_to_another_thread() {
    let mut scratch = Scratch::new();
    scratch.push(&(7u64, "seven".to_owned()));
    let read = std::thread::spawn(move || scratch.get(0).cloned()).join();
    assert_eq!(read.ok().flatten(), Some((7, "seven".to_owned())));
}
