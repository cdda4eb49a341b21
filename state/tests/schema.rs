//! What schemas look like, which types have one, and that they never change.
//!
//! Fingerprints are stored for ever: a type whose schema changes by another version of this crate,
//! of serde or of the compiler could not be restored any more.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::{NonZeroI16, NonZeroU64};

use highwater_state::schema::Schema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

fn shown<T: DeserializeOwned>() -> String {
    Schema::of::<T>().unwrap().to_string()
}

#[test]
fn types_without_names_are_shown() {
    assert_eq!(shown::<()>(), "()");
    assert_eq!(shown::<(bool, char, f32)>(), "(bool, char, f32)");
    assert_eq!(shown::<[u8; 3]>(), "(u8, u8, u8)");
    assert_eq!(shown::<Option<Option<i128>>>(), "option<option<i128>>");
    assert_eq!(shown::<BTreeMap<String, Vec<Box<i8>>>>(), "map<string, seq<i8>>");
    assert_eq!(shown::<HashMap<u16, BTreeSet<()>>>(), "map<u16, seq<()>>");
    assert_eq!(shown::<(usize, isize)>(), "(u64, i64)");
    assert_eq!(shown::<Result<u8, String>>(), "enum Result { Ok(u8), Err(string) }");
    assert_eq!(shown::<std::time::Duration>(), "struct Duration { secs: u64, nanos: u32 }");
}

#[derive(Deserialize)]
struct Unit;
#[derive(Deserialize)]
struct Newtype(#[allow(dead_code)] u8);
#[derive(Deserialize)]
struct Pair(#[allow(dead_code)] u8, #[allow(dead_code)] Newtype);
#[derive(Deserialize)]
#[allow(dead_code)]
struct Named {
    #[serde(rename = "first")]
    one: Unit,
    #[serde(skip)]
    skipped: u8,
    #[serde(default)]
    two: Pair,
}
impl Default for Pair {
    fn default() -> Self {
        Pair(1, Newtype(2))
    }
}
#[derive(Deserialize)]
#[allow(dead_code)]
enum Mixed {
    Unit,
    Newtype(Named),
    Tuple(u8, Option<u8>),
    Struct { x: u8, y: BTreeMap<u8, Unit> },
}

#[test]
fn types_with_names_are_shown() {
    let named = "struct Named { first: struct Unit, two: struct Pair(u8, struct Newtype(u8)) }";
    assert_eq!(shown::<Named>(), named);
    let mixed = format!(
        "enum Mixed {{ Unit, Newtype({named}), Tuple(u8, option<u8>), Struct {{ x: u8, y: map<u8, \
         struct Unit> }} }}"
    );
    assert_eq!(shown::<Mixed>(), mixed);
    assert_eq!(Schema::of::<Mixed>().unwrap().name(), "Mixed");
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Picky {
    id: NonZeroU64,
    offset: NonZeroI16,
    #[serde(deserialize_with = "even_and_more")]
    even: u32,
    address: std::net::IpAddr,
    word: NonEmpty,
    span: Ordered,
    last: Option<NonZeroU64>,
}
#[derive(Deserialize)]
#[serde(try_from = "Vec<String>")]
struct NonEmpty;
impl TryFrom<Vec<String>> for NonEmpty {
    type Error = &'static str;
    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        if words.len() < 2 { Err("too few words") } else { Ok(NonEmpty) }
    }
}
#[derive(Deserialize)]
#[serde(try_from = "(u64, u64)")]
struct Ordered;
impl TryFrom<(u64, u64)> for Ordered {
    type Error = &'static str;
    fn try_from((first, last): (u64, u64)) -> Result<Self, Self::Error> {
        if first < last || last == 0 && first > 5 { Ok(Ordered) } else { Err("out of order") }
    }
}
fn even_and_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        number if number > 1 && number % 2 == 0 => Ok(number),
        _ => Err(serde::de::Error::custom("odd")),
    }
}

#[test]
fn types_that_refuse_values_are_given_others() {
    let address = "enum IpAddr { V4((u8, u8, u8, u8)), V6((u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, \
                   u8, u8, u8, u8, u8, u8)) }";
    let text = format!(
        "struct Picky {{ id: u64, offset: i16, even: u32, address: {address}, word: seq<string>, \
         span: (u64, u64), last: option<u64> }}"
    );
    assert_eq!(shown::<Picky>(), text);
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Chain {
    next: Option<Box<Chain>>,
    value: u8,
}
#[derive(Deserialize)]
#[allow(dead_code)]
enum Tree {
    Node(Box<Tree>, Box<Tree>),
    Many(Vec<Tree>, BTreeMap<u8, Tree>),
    Leaf(Wrapper<Wrapper<u8>>),
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Wrapper<T> {
    inner: T,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Even(Option<Box<Odd>>);
#[derive(Deserialize)]
#[allow(dead_code)]
enum Odd {
    Next(Even, Box<Odd>),
    End { value: u8 },
}

#[test]
fn recursive_types_refer_to_what_is_around_them() {
    assert_eq!(shown::<Chain>(), "struct Chain { next: option<^Chain>, value: u8 }");
    let leaf = "struct Wrapper { inner: struct Wrapper { inner: u8 } }";
    let tree = format!(
        "enum Tree {{ Node(^Tree, ^Tree), Many(seq<^Tree>, map<u8, ^Tree>), Leaf({leaf}) }}"
    );
    assert_eq!(shown::<Tree>(), tree);
    let even = "struct Even(option<enum Odd { Next(^Even, ^Odd), End { value: u8 } }>)";
    assert_eq!(shown::<Even>(), even);
    assert_eq!(shown::<Wrapper<Tree>>(), format!("struct Wrapper {{ inner: {tree} }}"));
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Aliased {
    #[serde(alias = "number")]
    id: u64,
    name: String,
}
#[derive(Deserialize)]
#[allow(dead_code)]
enum AliasedEnum {
    #[serde(alias = "Begin")]
    Start,
    End(u8),
}

#[test]
fn types_with_aliases_are_described_by_position() {
    assert_eq!(shown::<Aliased>(), "struct Aliased[id|number|name](u64, string)");
    assert_eq!(shown::<AliasedEnum>(), "enum AliasedEnum[Begin|Start|End] { 0, 1(u8) }");
}

#[derive(Deserialize)]
#[serde(untagged)]
#[allow(dead_code)]
enum Untagged {
    Number(u64),
    Text(String),
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}
#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Impossible;
impl TryFrom<u64> for Impossible {
    type Error = &'static str;
    fn try_from(_: u64) -> Result<Self, Self::Error> {
        Err("never")
    }
}
#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Stuck {
    first: Impossible,
    second: u8,
}
#[derive(Deserialize)]
#[allow(dead_code)]
struct Endless {
    next: Box<Endless>,
}

#[test]
fn types_that_do_not_show_themselves_are_refused() {
    let why = |error: highwater_state::schema::SchemaError| error.to_string();
    let refused = why(Schema::of::<Untagged>().unwrap_err());
    assert!(refused.contains("only self-describing formats"), "{refused}");
    let refused = why(Schema::of::<Flat>().unwrap_err());
    assert!(refused.contains("only self-describing formats"), "{refused}");
    let refused = why(Schema::of::<Stuck>().unwrap_err());
    let text = "schema::Stuck does not show its structure to serde: it refuses all values that \
                were made up for it, the last one: never; describe it with Schema::opaque";
    assert_eq!(refused, text);
    let refused = why(Schema::of::<Endless>().unwrap_err());
    assert!(refused.contains("no finite values"), "{refused}");
    // What comes last need not be given a value.
    assert_eq!(shown::<(u8, Impossible)>(), "(u8, u64)");
}

#[test]
fn different_types_have_different_fingerprints() {
    let schemas = [
        Schema::of::<u64>(),
        Schema::of::<i64>(),
        Schema::of::<(u64,)>(),
        Schema::of::<(u64, u64)>(),
        Schema::of::<Vec<u64>>(),
        Schema::of::<Option<u64>>(),
        Schema::of::<Chain>(),
        Schema::of::<Option<Chain>>(),
        Schema::of::<Wrapper<u64>>(),
        Schema::of::<Wrapper<i64>>(),
        Schema::of::<Wrapper<Wrapper<i64>>>(),
        Ok(Schema::opaque("a", 1)),
        Ok(Schema::opaque("a", 2)),
        Ok(Schema::opaque("b", 1)),
    ];
    let prints: BTreeSet<_> = schemas.iter().map(|s| s.as_ref().unwrap().fingerprint()).collect();
    assert_eq!(prints.len(), schemas.len());
}

#[test]
fn fingerprints_never_change() {
    let prints = [
        Schema::of::<u64>().unwrap().fingerprint(),
        Schema::of::<Mixed>().unwrap().fingerprint(),
        Schema::of::<Tree>().unwrap().fingerprint(),
        Schema::of::<Aliased>().unwrap().fingerprint(),
        Schema::opaque("acme.Blob", 3).fingerprint(),
    ];
    assert_eq!(prints.map(|print| format!("{print:016x}")), GOLDEN);
}

const GOLDEN: [&str; 5] = [
    "384868fba0c21fdc",
    "f00769083652b15d",
    "f224fc14a84bcfe9",
    "186489dc9730a80e",
    "ec3b120dbe08c632",
];
