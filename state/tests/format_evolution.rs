//! Types that change between two versions of a program.
//!
//! - Optional fields added at the end, anywhere in a type: would catch a decoder that loses its
//!   place in bytes of which it expects more.
//! - Everything else is refused with both schemas: would catch a silent misreading.
//! - Migrations: would catch one that is applied to the wrong type, or not at all.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use highwater_core::error::ErrorKind;
use highwater_state::format::FormatError;
use highwater_state::snapshot::Stored;
use highwater_state::{Migration, StateFormat};
use serde::{Deserialize, Serialize};

mod support;
use support::{all, format, group_of};

mod v1 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Point {
        pub(crate) x: i32,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Event {
        At(Point),
        Pair(Point, Point),
        Seen { by: String },
        None,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) points: Vec<Point>,
        pub(crate) events: BTreeMap<u8, Event>,
        pub(crate) best: Option<Point>,
        pub(crate) pair: (Point, char),
    }
}

mod v2 {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Point {
        pub(crate) x: i32,
        pub(crate) y: Option<i32>,
        pub(crate) label: Option<String>,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Event {
        At(Point),
        Pair(Point, Point),
        Seen { by: String, at: Option<Point> },
        None,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) points: Vec<Point>,
        pub(crate) events: BTreeMap<u8, Event>,
        pub(crate) best: Option<Point>,
        pub(crate) pair: (Point, char),
        pub(crate) note: Option<Vec<String>>,
    }
}

fn store<V: Stored>(value: &V) -> Vec<u8> {
    let format = format::<(), u32, V>();
    let block = format.block(group_of(&1u32), 0, [(&(), &1, value)]).unwrap();
    format.part(all(), vec![block]).unwrap()
}

fn load_by<V: Stored>(format: &StateFormat<(), u32, V>, bytes: &[u8]) -> Result<V, FormatError> {
    let mut entries = format.open(bytes)?.groups(all()).next().unwrap()?;
    let (_, key, value) = entries.next().unwrap()?;
    assert_eq!((key, entries.next().is_none()), (1, true));
    Ok(value)
}

fn load<V: Stored>(bytes: &[u8]) -> Result<V, FormatError> {
    load_by(&format(), bytes)
}

fn old_order() -> v1::Order {
    let point = |x| v1::Point { x };
    let events = [
        v1::Event::At(point(1)),
        v1::Event::Pair(point(-2), point(300)),
        v1::Event::Seen { by: "someone".into() },
        v1::Event::None,
    ];
    v1::Order {
        id: 7,
        points: (0..5).map(point).collect(),
        events: (0..).zip(events).collect(),
        best: Some(point(9)),
        pair: (point(i32::MIN), 'z'),
    }
}

#[test]
fn optional_fields_may_be_added_anywhere_in_a_type() {
    let point = |x| v2::Point { x, y: None, label: None };
    let events = [
        v2::Event::At(point(1)),
        v2::Event::Pair(point(-2), point(300)),
        v2::Event::Seen { by: "someone".into(), at: None },
        v2::Event::None,
    ];
    let expected = v2::Order {
        id: 7,
        points: (0..5).map(point).collect(),
        events: (0..).zip(events).collect(),
        best: Some(point(9)),
        pair: (point(i32::MIN), 'z'),
        note: None,
    };
    assert_eq!(load::<v2::Order>(&store(&old_order())).unwrap(), expected);
    // And what the new version writes, it reads with all fields.
    let full = v2::Order { note: Some(vec!["x".into()]), ..expected };
    assert_eq!(load::<v2::Order>(&store(&full)).unwrap(), full);
}

#[test]
fn a_field_that_is_gone_is_refused_with_both_schemas() {
    let new = v2::Point { x: 1, y: Some(2), label: None };
    let error = load::<v1::Point>(&store(&new)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let (stored, expected) = (
        highwater_state::schema::Schema::of::<v2::Point>().unwrap(),
        highwater_state::schema::Schema::of::<v1::Point>().unwrap(),
    );
    let text = format!(
        "state \"sessions\" of operator \"window-uid\": the stored value cannot be read as the \
         type of the program: Point: field y is gone; stored Point ({:016x}): struct Point {{ x: \
         i32, y: option<i32>, label: option<string> }}; expected Point ({:016x}): struct Point {{ \
         x: i32 }}",
        stored.fingerprint(),
        expected.fingerprint(),
    );
    assert_eq!(error.to_string(), text);
}

/// Asserts that a changed type is refused, and why.
fn refused<Old: Stored, New: Stored>(old: &Old, why: &str) {
    let error = load::<New>(&store(old)).map(|_| ()).unwrap_err();
    assert!(matches!(error, FormatError::Schema(_)), "{error}");
    let why = format!("type of the program: {why}; stored");
    assert!(error.to_string().contains(&why), "{error}, expected {why}");
}

#[test]
fn every_other_change_is_refused() {
    macro_rules! point {
        ($module:ident $($body:tt)*) => {
            mod $module {
                #[derive(serde::Serialize, serde::Deserialize)]
                pub(crate) struct Point $($body)*
            }
        };
    }
    point!(narrow { pub(crate) x: i16 });
    point!(renamed { pub(crate) z: i32 });
    point!(required { pub(crate) x: i32, pub(crate) y: i32 });
    point!(before { pub(crate) y: Option<i32>, pub(crate) x: i32 });
    point!(tuple (pub(crate) i32););
    point!(optional { pub(crate) x: Option<i32> });
    let point = v1::Point { x: 5 };
    refused::<_, narrow::Point>(&point, "Point.x: was i32, is i16");
    refused::<_, renamed::Point>(&point, "Point: field 1 was x, is z");
    refused::<_, required::Point>(&point, "Point: the new field y is not optional");
    refused::<_, before::Point>(&point, "Point: field 1 was x, is y");
    refused::<_, tuple::Point>(&point, "Point: its fields are written in another form");
    refused::<_, optional::Point>(&point, "Point.x: was i32, is an option");
    refused::<u64, i64>(&5, "u64: was u64, is i64");
    refused::<u64, String>(&5, "u64: was u64, is string");
    refused::<Vec<u8>, BTreeMap<u8, u8>>(&vec![1], "seq: was a sequence, is a map");
    refused::<(u8, u8), (u8, u8, Option<u8>)>(&(1, 2), "tuple: had 2 fields, has 3");
    refused::<_, Option<v1::Point>>(&point, "Point: was struct Point, is an option");
}

#[test]
fn variants_may_not_change() {
    macro_rules! event {
        ($module:ident $($body:tt)*) => {
            mod $module {
                #[derive(serde::Serialize, serde::Deserialize)]
                pub(crate) enum Event { $($body)* }
            }
        };
    }
    event!(two A, B(u8));
    event!(three A, B(u8), C);
    event!(swapped B(u8), A);
    event!(wider A, B(u16));
    refused::<_, three::Event>(&two::Event::A, "Event: variant C is new");
    refused::<_, swapped::Event>(&two::Event::A, "Event: variant 1 was A, is B");
    refused::<_, wider::Event>(&two::Event::B(1), "Event::B.0: was u8, is u16");
    refused::<_, two::Event>(&three::Event::C, "Event: variant C is gone");
    assert!(load::<two::Event>(&store(&two::Event::B(3))).is_ok());
    let _ = (swapped::Event::A, swapped::Event::B(0), wider::Event::A, wider::Event::B(0));
    let _ = (three::Event::A, three::Event::B(0));
}

#[test]
fn keys_and_namespaces_may_not_change_at_all() {
    type Old = (u32, Option<u32>);
    let old = format::<Old, Old, u64>();
    let key: Old = (1, None);
    let block = old.block(group_of(&key), 0, [(&key, &key, &3)]).unwrap();
    let bytes = old.part(all(), vec![block]).unwrap();
    let refused = |error: FormatError, role: &str| {
        let text = error.to_string();
        assert!(text.contains(role) && text.contains("was u32, is u64"), "{text}");
    };
    refused(format::<Old, (u64, Option<u32>), u64>().open(&bytes).unwrap_err(), "stored key");
    let new = format::<(u64, Option<u32>), Old, u64>();
    refused(new.open(&bytes).unwrap_err(), "stored namespace");
}

#[test]
fn a_migration_converts_and_says_where_it_begins() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Moved {
        x: f64,
    }
    let bytes = store(&v1::Point { x: 5 });
    assert!(load::<Moved>(&bytes).is_err());
    let unrelated = Migration::new(|old: String| Moved { x: old.len() as f64 });
    let from_v1 = Migration::new(|old: v1::Point| Moved { x: f64::from(old.x) });
    let from_v2 = Migration::new(|old: v2::Point| Moved { x: f64::from(old.x) * 2.0 });
    let format = format::<(), u32, Moved>().with_migration(unrelated).unwrap();
    assert!(load_by(&format, &bytes).is_err(), "there is none from the stored type");
    // Values of version 1 are readable as version 2, so a migration from there is good for both.
    let format = format.with_migration(from_v2).unwrap();
    assert_eq!(load_by(&format, &bytes).unwrap(), Moved { x: 10.0 });
    let new = v2::Point { x: 5, y: Some(1), label: None };
    assert_eq!(load_by(&format, &store(&new)).unwrap(), Moved { x: 10.0 });
    // One from exactly the stored type goes before.
    let format = format.with_migration(from_v1).unwrap();
    assert_eq!(load_by(&format, &bytes).unwrap(), Moved { x: 5.0 });
    assert_eq!(load_by(&format, &store(&Moved { x: 1.5 })).unwrap(), Moved { x: 1.5 });
}

#[test]
fn a_migration_goes_before_filling_in_nothing() {
    let from_v1 = Migration::new(|old: v1::Point| v2::Point { x: old.x, y: Some(0), label: None });
    let format = format::<(), u32, v2::Point>().with_migration(from_v1).unwrap();
    let read = load_by(&format, &store(&v1::Point { x: 5 })).unwrap();
    assert_eq!(read, v2::Point { x: 5, y: Some(0), label: None });
}

#[test]
fn recursive_types_grow_too() {
    mod old {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub(crate) enum Tree {
            Node(Box<Tree>, Box<Tree>),
            Leaf { value: u64 },
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Tree {
        Node(Box<Tree>, Box<Tree>),
        Leaf { value: u64, note: Option<String> },
    }
    let leaf = |value| Box::new(old::Tree::Leaf { value });
    let stored = old::Tree::Node(Box::new(old::Tree::Node(leaf(1), leaf(2))), leaf(3));
    let leaf = |value| Box::new(Tree::Leaf { value, note: None });
    let expected = Tree::Node(Box::new(Tree::Node(leaf(1), leaf(2))), leaf(3));
    assert_eq!(load::<Tree>(&store(&stored)).unwrap(), expected);
}
