//! One record of the stream, and its two forms on the wire.
//!
//! A format that people read gets the object of the public benchmark, in which a number says which
//! of three members is not null; a binary format gets the enum itself, since it has no names by
//! which to find members, and a byte or four are all that the choice costs:
//!
//! ```text
//!   JSON       {"event_type":2,"person":null,"auction":null,"bid":{"auction":1000,..}}
//!   postcard   02 <bid>
//! ```

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::model::{Auction, Bid, Person};

/// What an event is; its number is the `event_type` of the JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A registration.
    Person = 0,
    /// An opening.
    Auction = 1,
    /// A bid.
    Bid = 2,
}

/// One record of the stream.
///
/// The variants are not boxed: 46 of 50 events are bids, and an allocation for each of the others
/// would save less than it costs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A person registered.
    Person(Person),
    /// An auction was opened.
    Auction(Auction),
    /// Somebody bid.
    Bid(Bid),
}

impl Event {
    /// Returns which variant this is.
    pub fn kind(&self) -> Kind {
        match self {
            Event::Person(_) => Kind::Person,
            Event::Auction(_) => Kind::Auction,
            Event::Bid(_) => Kind::Bid,
        }
    }

    /// Returns the event time, in ms since 1970, UTC.
    pub fn date_time(&self) -> i64 {
        match self {
            Event::Person(person) => person.date_time,
            Event::Auction(auction) => auction.date_time,
            Event::Bid(bid) => bid.date_time,
        }
    }

    /// Returns the person, if it is one.
    pub fn into_person(self) -> Option<Person> {
        if let Event::Person(person) = self { Some(person) } else { None }
    }

    /// Returns the auction, if it is one.
    pub fn into_auction(self) -> Option<Auction> {
        if let Event::Auction(auction) = self { Some(auction) } else { None }
    }

    /// Returns the bid, if it is one.
    pub fn into_bid(self) -> Option<Bid> {
        if let Event::Bid(bid) = self { Some(bid) } else { None }
    }
}

/// The form for binary formats: what a derive on [`Event`] would give.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Event")]
enum Binary {
    Person(Person),
    Auction(Auction),
    Bid(Bid),
}

/// The form for formats that people read, before the variant is checked.
///
/// A member that is absent counts as null, as Flink's JSON format reads it.
#[derive(Deserialize)]
#[serde(rename = "nexmark event")]
struct Object {
    event_type: u64,
    person: Option<Person>,
    auction: Option<Auction>,
    bid: Option<Bid>,
}

impl Object {
    /// Checks that the one member that is not null is the one that `event_type` announces.
    fn into_event<E: de::Error>(self) -> Result<Event, E> {
        match (self.event_type, self.person, self.auction, self.bid) {
            (0, Some(person), None, None) => Ok(Event::Person(person)),
            (1, None, Some(auction), None) => Ok(Event::Auction(auction)),
            (2, None, None, Some(bid)) => Ok(Event::Bid(bid)),
            (event_type @ 0..=2, person, auction, bid) => {
                let name = ["person", "auction", "bid"][event_type as usize];
                let present = [
                    person.map_or("", |_| " person"),
                    auction.map_or("", |_| " auction"),
                    bid.map_or("", |_| " bid"),
                ]
                .concat();
                let present = if present.is_empty() { " none" } else { &present };
                Err(E::custom(format_args!(
                    "event_type {event_type} wants exactly the member {name}, found:{present}"
                )))
            }
            (event_type, ..) => Err(E::custom(format_args!(
                "event_type {event_type} is none of 0 (person), 1 (auction), 2 (bid)"
            ))),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return Binary::serialize(self, serializer);
        }
        let (person, auction, bid) = match self {
            Event::Person(person) => (Some(person), None, None),
            Event::Auction(auction) => (None, Some(auction), None),
            Event::Bid(bid) => (None, None, Some(bid)),
        };
        let mut object = serializer.serialize_struct("Event", 4)?;
        object.serialize_field("event_type", &(self.kind() as u8))?;
        object.serialize_field("person", &person)?;
        object.serialize_field("auction", &auction)?;
        object.serialize_field("bid", &bid)?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Object::deserialize(deserializer)?.into_event()
        } else {
            Binary::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nexmark::{Generator, GeneratorConfig};

    const PERSON: &str = concat!(
        r#"{"event_type":0,"person":{"id":1001,"name":"Vicky Spencer","#,
        r#""emailAddress":"kwoi b@zwh.com","creditCard":"9326 3723 1255 4118","#,
        r#""city":"Boise","state":"OR","dateTime":1436918402500,"extra":"NY\\PNHOJXJ[R"},"#,
        r#""auction":null,"bid":null}"#,
    );
    const AUCTION: &str = concat!(
        r#"{"event_type":1,"person":null,"#,
        r#""auction":{"id":1001,"itemName":"d oqunftxcem ufxw","description":"ovdfepxxqhnphm","#,
        r#""initialBid":151,"reserve":357,"dateTime":1436918400100,"expires":1436918448330,"#,
        r#""seller":1000,"category":14,"extra":"R[RaXT_HZ`R"},"bid":null}"#,
    );
    const BID: &str = concat!(
        r#"{"event_type":2,"person":null,"auction":null,"#,
        r#""bid":{"auction":1000,"bidder":2001,"price":121685,"channel":"Google","#,
        r#""url":"https://www.nexmark.com/xvt/kmzv/vlej/item.htm?query=1","#,
        r#""dateTime":1436918400200,"extra":"varaithRPMZL^zwypta"}}"#,
    );

    fn error(line: &str) -> String {
        serde_json::from_str::<Event>(line).unwrap_err().to_string()
    }

    #[test]
    fn lines_of_the_benchmark_are_read_and_written_unchanged() {
        for (line, kind, time) in [
            (PERSON, Kind::Person, 1436918402500),
            (AUCTION, Kind::Auction, 1436918400100),
            (BID, Kind::Bid, 1436918400200),
        ] {
            let event: Event = serde_json::from_str(line).unwrap();
            assert_eq!((event.kind(), event.date_time()), (kind, time));
            assert_eq!(serde_json::to_string(&event).unwrap(), line);
            assert_eq!(serde_json::from_reader::<_, Event>(line.as_bytes()).unwrap(), event);
        }
    }

    #[test]
    fn generated_events_return_from_json_and_from_postcard() {
        let generator = Generator::new(GeneratorConfig::default());
        for event in generator.events(0..1_000) {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
            let bytes = postcard::to_stdvec(&event).unwrap();
            assert_eq!(bytes[0], event.kind() as u8);
            assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event);
        }
    }

    #[test]
    fn an_absent_member_counts_as_null() {
        let short = BID.replace(r#""person":null,"auction":null,"#, "");
        assert_eq!(
            serde_json::from_str::<Event>(&short).unwrap(),
            serde_json::from_str::<Event>(BID).unwrap()
        );
    }

    #[test]
    fn a_variant_that_contradicts_its_number_is_an_error() {
        let wrong = BID.replace(r#""event_type":2"#, r#""event_type":1"#);
        assert!(
            error(&wrong).starts_with("event_type 1 wants exactly the member auction, found: bid")
        );
        let none = r#"{"event_type":2,"person":null,"auction":null,"bid":null}"#;
        assert!(error(none).starts_with("event_type 2 wants exactly the member bid, found: none"));
        let (_, auction) = AUCTION.split_once(r#""person":null,"#).unwrap();
        let auction = auction.strip_suffix(r#","bid":null}"#).unwrap();
        let two = BID.replace(r#""auction":null"#, auction);
        assert!(error(&two).contains("found: auction bid"), "{}", error(&two));
        let unknown = BID.replace(r#""event_type":2"#, r#""event_type":3"#);
        assert!(error(&unknown).starts_with("event_type 3 is none of"), "{}", error(&unknown));
    }

    #[test]
    fn malformed_lines_are_errors_that_name_the_fault() {
        assert!(error(r#"{"bid":null}"#).starts_with("missing field `event_type`"));
        assert!(error(r#"{"event_type":-1}"#).starts_with("invalid value: integer `-1`"));
        assert!(error(r#"{"event_type":"2"}"#).starts_with("invalid type: string"));
        assert!(error(&BID.replace(r#""price":121685,"#, "")).starts_with("missing field `price`"));
        assert!(error(&BID.replace("121685", "1.5")).starts_with("invalid type: floating point"));
        assert!(error(&BID[..BID.len() - 1]).starts_with("EOF while parsing"));
        assert!(error("").starts_with("EOF while parsing"));
        assert!(error("[]").starts_with("invalid length 0"), "{}", error("[]"));
    }

    #[test]
    fn truncated_bytes_are_an_error() {
        let event: Event = serde_json::from_str(BID).unwrap();
        let bytes = postcard::to_stdvec(&event).unwrap();
        assert!(postcard::from_bytes::<Event>(&bytes[..bytes.len() - 1]).is_err());
        assert!(postcard::from_bytes::<Event>(&[3]).is_err());
    }

    #[test]
    fn into_returns_its_variant_alone() {
        let event: Event = serde_json::from_str(BID).unwrap();
        assert_eq!(event.clone().into_person(), None);
        assert_eq!(event.clone().into_auction(), None);
        assert_eq!(event.into_bid().map(|bid| bid.price), Some(121685));
    }
}
