//! Restart strategies as they are written on the command line: `NAME[:KEY=VALUE,..]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Backoff, RestartStrategy};

impl FromStr for RestartStrategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, given) = text.split_once(':').unwrap_or((text, ""));
        let mut given = Given::parse(given)?;
        let delay = Duration::from_secs(1);
        let strategy = match name {
            "none" => RestartStrategy::None,
            "fixed-delay" => RestartStrategy::FixedDelay {
                attempts: given.take("attempts", 1, number)?,
                delay: given.take("delay", delay, duration)?,
            },
            "failure-rate" => RestartStrategy::FailureRate {
                max: given.take("max", 1, number)?,
                interval: given.take("interval", Duration::from_secs(60), duration)?,
                delay: given.take("delay", delay, duration)?,
            },
            "exponential" => RestartStrategy::Exponential(given.backoff()?),
            _ => {
                return Err(format!(
                    "{name:?} is not one of none, fixed-delay, failure-rate, exponential"
                ));
            }
        };
        match given.0.first() {
            Some((key, _)) => Err(format!("{name} has no {key:?}")),
            None => strategy.checked(),
        }
    }
}

/// What follows the name of a strategy.
struct Given<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Given<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let pairs = text.split(',').filter(|pair| !pair.is_empty()).map(|pair| {
            pair.split_once('=').ok_or_else(|| format!("{pair:?} is not of the form KEY=VALUE"))
        });
        pairs.collect::<Result<_, _>>().map(Given)
    }

    /// Takes a value out, or its default.
    fn take<T>(
        &mut self,
        key: &str,
        default: T,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        match self.0.iter().position(|(given, _)| *given == key) {
            Some(place) => {
                let (_, value) = self.0.remove(place);
                read(value).map_err(|why| format!("{key}={value}: {why}"))
            }
            None => Ok(default),
        }
    }

    fn backoff(&mut self) -> Result<Backoff, String> {
        let default = Backoff::default();
        Ok(Backoff {
            initial: self.take("initial", default.initial, duration)?,
            max: self.take("max", default.max, duration)?,
            multiplier: self.take("multiplier", default.multiplier, share)?,
            jitter: self.take("jitter", default.jitter, share)?,
            reset: self.take("reset", default.reset, duration)?,
            attempts: self.take("attempts", default.attempts, |text| number(text).map(Some))?,
        })
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

impl RestartStrategy {
    /// Returns the strategy if Flink would take it, too.
    fn checked(self) -> Result<Self, String> {
        let least = Duration::from_millis(1);
        let wrong = match self {
            RestartStrategy::FailureRate { max: 0, .. } => Some("max must be 1 or more"),
            RestartStrategy::FailureRate { interval, .. } if interval < least => {
                Some("interval must be 1ms or more")
            }
            RestartStrategy::Exponential(backoff) => backoff.wrong(),
            _ => None,
        };
        wrong.map_or(Ok(self), |wrong| Err(wrong.to_owned()))
    }
}

impl Backoff {
    fn wrong(&self) -> Option<&'static str> {
        let least = Duration::from_millis(1);
        match self {
            Backoff { initial, .. } if *initial < least => Some("initial must be 1ms or more"),
            Backoff { initial, max, .. } if max < initial => Some("max must be initial or more"),
            Backoff { multiplier, .. } if !(*multiplier >= 1.0 && multiplier.is_finite()) => {
                Some("multiplier must be 1 or more")
            }
            Backoff { jitter, .. } if !(0.0..=1.0).contains(jitter) => {
                Some("jitter must be from 0 to 1")
            }
            Backoff { reset, .. } if *reset < least => Some("reset must be 1ms or more"),
            Backoff { attempts: Some(0), .. } => Some("attempts must be 1 or more"),
            _ => None,
        }
    }
}

impl fmt::Display for RestartStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration;
        match self {
            RestartStrategy::None => f.write_str("none"),
            RestartStrategy::FixedDelay { attempts, delay } => {
                write!(f, "fixed-delay:attempts={attempts},delay={}", text(*delay))
            }
            RestartStrategy::FailureRate { max, interval, delay } => {
                let (interval, delay) = (text(*interval), text(*delay));
                write!(f, "failure-rate:max={max},interval={interval},delay={delay}")
            }
            RestartStrategy::Exponential(Backoff {
                initial,
                max,
                multiplier,
                jitter,
                reset,
                attempts,
            }) => {
                write!(f, "exponential:initial={},max={}", text(*initial), text(*max))?;
                write!(f, ",multiplier={multiplier},jitter={jitter},reset={}", text(*reset))?;
                attempts.map_or(Ok(()), |attempts| write!(f, ",attempts={attempts}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RestartStrategy {
        text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    #[test]
    fn what_is_not_given_has_the_default_of_flink() {
        let delay = Duration::from_secs(1);
        assert_eq!(parsed("none"), RestartStrategy::None);
        assert_eq!(parsed("fixed-delay"), RestartStrategy::FixedDelay { attempts: 1, delay });
        let interval = Duration::from_secs(60);
        assert_eq!(
            parsed("failure-rate"),
            RestartStrategy::FailureRate { max: 1, interval, delay }
        );
        assert_eq!(parsed("exponential"), RestartStrategy::Exponential(Backoff::default()));
    }

    #[test]
    fn a_strategy_is_written_as_it_is_read() {
        for text in [
            "none",
            "fixed-delay:attempts=3,delay=20ms",
            "failure-rate:max=5,interval=5m,delay=0s",
            "exponential:initial=10ms,max=2s,multiplier=2,jitter=0,reset=1m",
            "exponential:initial=1s,max=1m,multiplier=1.5,jitter=0.1,reset=1h,attempts=7",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = |text: &str| text.parse::<RestartStrategy>().expect_err(text);
        assert!(why("sometimes").contains("not one of none, fixed-delay"));
        assert_eq!(why("fixed-delay:max=3"), "fixed-delay has no \"max\"");
        assert_eq!(why("none:delay=1s"), "none has no \"delay\"");
        assert_eq!(why("fixed-delay:attempts"), "\"attempts\" is not of the form KEY=VALUE");
        assert_eq!(why("fixed-delay:attempts=-1"), "attempts=-1: not a whole number");
        assert!(why("fixed-delay:delay=soon").starts_with("delay=soon: "));
        assert_eq!(why("failure-rate:max=0"), "max must be 1 or more");
        assert_eq!(why("failure-rate:interval=0s"), "interval must be 1ms or more");
        assert_eq!(why("exponential:initial=0s"), "initial must be 1ms or more");
        assert_eq!(why("exponential:initial=2s,max=1s"), "max must be initial or more");
        assert_eq!(why("exponential:multiplier=0.9"), "multiplier must be 1 or more");
        assert_eq!(why("exponential:multiplier=NaN"), "multiplier must be 1 or more");
        assert_eq!(why("exponential:jitter=1.1"), "jitter must be from 0 to 1");
        assert_eq!(why("exponential:reset=0s"), "reset must be 1ms or more");
        assert_eq!(why("exponential:attempts=0"), "attempts must be 1 or more");
    }
}
