//! Triggers made of triggers, such as "at each 3rd element early, at the end, at each late one".
//!
//! Flink has no such combinators, but its `Trigger` interface is enough to write them: the state
//! is one number for each node of the expression, in preorder, and the only timer is the one at the
//! window's end. A trigger that has *finished* drops every later element of its window, which in
//! Flink's terms is the answer `PURGE`.
//!
//! ```text
//!   nodes = [finished, node of the root, nodes of its first child .., of its second child ..]
//! ```
//!
//! A count is merged by addition; all other numbers (a flag, the place in a sequence) by maximum.
//!
//! Sources: Beam, `apache_beam.transforms.trigger`.

use super::trigger::TriggerResult;

/// An expression over triggers.
#[derive(Clone, PartialEq, Debug)]
pub enum Composite {
    /// At the window's end and at each later element, without end.
    Default,
    /// Once, when there are so many elements.
    Count(u64),
    /// Once at the window's end; `early` repeatedly before it, `late` repeatedly after it.
    Watermark {
        /// What fires before the end.
        early: Option<Box<Composite>>,
        /// What fires after the end; without it, the trigger finishes at the end.
        late: Option<Box<Composite>>,
    },
    /// The trigger again and again, from the beginning each time it finishes.
    Repeatedly(Box<Composite>),
    /// When one of them would fire; finishes with the first that finishes.
    Any(Vec<Composite>),
    /// When all of them would fire at once.
    All(Vec<Composite>),
    /// One after the other, each until it finishes.
    Each(Vec<Composite>),
}

impl Composite {
    /// Answers to an element; `passed` says whether the watermark has passed the window.
    pub fn on_element(&self, nodes: &mut Vec<i64>, passed: bool, purging: bool) -> TriggerResult {
        nodes.resize(1 + self.size(), 0);
        if nodes[0] > 0 {
            return TriggerResult::Purge;
        }
        self.count(&mut nodes[1..]);
        self.decide(nodes, passed, purging)
    }

    /// Answers to the timer at the window's end.
    pub fn on_end(&self, nodes: &mut Vec<i64>, purging: bool) -> TriggerResult {
        nodes.resize(1 + self.size(), 0);
        if nodes[0] > 0 { TriggerResult::Continue } else { self.decide(nodes, true, purging) }
    }

    /// Returns the state of a window that has grown out of others.
    pub fn merge<'a>(&self, states: impl Iterator<Item = &'a [i64]>) -> Vec<i64> {
        let mut merged = vec![0; 1 + self.size()];
        for state in states.filter(|state| !state.is_empty()) {
            merged[0] = merged[0].max(state[0]);
            self.merge_into(&mut merged[1..], &state[1..]);
        }
        merged
    }

    fn decide(&self, nodes: &mut [i64], passed: bool, purging: bool) -> TriggerResult {
        if !self.ready(&nodes[1..], passed) {
            return TriggerResult::Continue;
        }
        let finished = self.fire(&mut nodes[1..], passed);
        nodes[0] = i64::from(finished);
        if finished || purging { TriggerResult::FireAndPurge } else { TriggerResult::Fire }
    }

    /// The children, each with the place of its nodes.
    fn children(&self) -> Vec<(&Composite, usize)> {
        let children: Vec<&Composite> = match self {
            Composite::Default | Composite::Count(_) => Vec::new(),
            Composite::Watermark { early, late } => {
                early.iter().chain(late).map(|c| &**c).collect()
            }
            Composite::Repeatedly(child) => vec![child],
            Composite::Any(list) | Composite::All(list) | Composite::Each(list) => {
                list.iter().collect()
            }
        };
        let mut place = 1;
        let mut placed = Vec::new();
        for child in children {
            placed.push((child, place));
            place += child.size();
        }
        placed
    }

    fn size(&self) -> usize {
        1 + self.children().iter().map(|(child, _)| child.size()).sum::<usize>()
    }

    /// The children that an input concerns now, given this node's number.
    fn active(&self, node: i64) -> Vec<(&Composite, usize)> {
        let mut children = self.children();
        match self {
            Composite::Watermark { early, late } => {
                let is_late = late.is_some() && node > 0;
                let keep = if is_late { children.pop() } else { children.into_iter().next() };
                keep.filter(|_| is_late || early.is_some()).into_iter().collect()
            }
            Composite::Each(_) => {
                let place = usize::try_from(node).expect("a place in a sequence is not negative");
                children.into_iter().skip(place).take(1).collect()
            }
            _ => children,
        }
    }

    fn count(&self, nodes: &mut [i64]) {
        if matches!(self, Composite::Count(_)) {
            nodes[0] += 1;
        }
        for (child, at) in self.active(nodes[0]) {
            child.count(&mut nodes[at..]);
        }
    }

    fn ready(&self, nodes: &[i64], passed: bool) -> bool {
        let active = self.active(nodes[0]);
        let mut ready = active.iter().map(|(child, at)| child.ready(&nodes[*at..], passed));
        match self {
            Composite::Default => passed,
            Composite::Count(n) => u64::try_from(nodes[0]).is_ok_and(|count| count >= *n),
            Composite::Watermark { late, .. } => {
                let on_time = passed && !(late.is_some() && nodes[0] > 0);
                on_time || ready.any(|ready| ready)
            }
            Composite::All(_) => ready.all(|ready| ready),
            Composite::Repeatedly(_) | Composite::Any(_) | Composite::Each(_) => {
                ready.any(|ready| ready)
            }
        }
    }

    /// Fires, and says whether the trigger has finished.
    fn fire(&self, nodes: &mut [i64], passed: bool) -> bool {
        let is_late = nodes[0] > 0;
        match self {
            Composite::Default => false,
            Composite::Count(_) => true,
            Composite::Watermark { late, .. } if passed && !(late.is_some() && is_late) => {
                nodes[0] = 1;
                late.is_none()
            }
            Composite::Watermark { .. } | Composite::Repeatedly(_) => {
                // Early and late triggers are repeated, too.
                for (child, at) in self.active(nodes[0]) {
                    if child.fire(&mut nodes[at..], passed) {
                        nodes[at..at + child.size()].fill(0);
                    }
                }
                false
            }
            Composite::Any(_) | Composite::All(_) => {
                let finished: Vec<bool> = self
                    .children()
                    .into_iter()
                    .filter_map(|(child, at)| {
                        let nodes = &mut nodes[at..];
                        child.ready(nodes, passed).then(|| child.fire(nodes, passed))
                    })
                    .collect();
                let all = matches!(self, Composite::All(_));
                if all { !finished.contains(&false) } else { finished.contains(&true) }
            }
            Composite::Each(list) => {
                for (child, at) in self.active(nodes[0]) {
                    nodes[0] += i64::from(child.fire(&mut nodes[at..], passed));
                }
                usize::try_from(nodes[0]).is_ok_and(|place| place == list.len())
            }
        }
    }

    fn merge_into(&self, into: &mut [i64], from: &[i64]) {
        let counts = matches!(self, Composite::Count(_));
        into[0] = if counts { into[0] + from[0] } else { into[0].max(from[0]) };
        for (child, at) in self.children() {
            child.merge_into(&mut into[at..], &from[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_count_fires_repeatedly_until_the_end() {
        let early = Some(Box::new(Composite::Count(2)));
        let trigger = Composite::Watermark { early, late: None };
        let mut nodes = Vec::new();
        let mut fired = Vec::new();
        for _ in 0..5 {
            fired.push(trigger.on_element(&mut nodes, false, false).fires());
        }
        assert_eq!(fired, [false, true, false, true, false]);
        assert_eq!(trigger.on_end(&mut nodes, false), TriggerResult::FireAndPurge);
        assert_eq!(trigger.on_element(&mut nodes, true, false), TriggerResult::Purge);
    }

    #[test]
    fn late_elements_count_for_the_late_trigger_alone() {
        let late = Some(Box::new(Composite::Count(2)));
        let trigger = Composite::Watermark { early: None, late };
        let mut nodes = Vec::new();
        assert_eq!(trigger.on_element(&mut nodes, false, false), TriggerResult::Continue);
        assert_eq!(trigger.on_end(&mut nodes, false), TriggerResult::Fire);
        assert_eq!(trigger.on_element(&mut nodes, true, false), TriggerResult::Continue);
        assert_eq!(trigger.on_element(&mut nodes, true, false), TriggerResult::Fire);
    }

    #[test]
    fn a_sequence_moves_on_when_its_part_has_finished() {
        let trigger = Composite::Each(vec![Composite::Count(1), Composite::Count(2)]);
        let mut nodes = Vec::new();
        let answers: Vec<TriggerResult> =
            (0..4).map(|_| trigger.on_element(&mut nodes, false, false)).collect();
        use TriggerResult::{Continue, Fire, FireAndPurge, Purge};
        assert_eq!(answers, [Fire, Continue, FireAndPurge, Purge]);
    }

    #[test]
    fn counts_of_merged_windows_add_up() {
        let trigger = Composite::Repeatedly(Box::new(Composite::Count(3)));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        trigger.on_element(&mut a, false, false);
        trigger.on_element(&mut b, false, false);
        let mut merged = trigger.merge([a.as_slice(), b.as_slice()].into_iter());
        assert_eq!(trigger.on_element(&mut merged, false, false), TriggerResult::Fire);
    }
}
