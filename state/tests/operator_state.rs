//! Operator state comes back as its kind says, whatever the numbers of workers before and after.

use std::sync::Arc;

use highwater_core::Result;
use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::time::Epoch;
use highwater_state::{Backend, Migration, OperatorListDescriptor, Redistribution};

type Stored = Vec<Arc<EncodedState>>;

fn backend(worker: usize, workers: usize, stored: &Stored) -> Backend {
    Backend::heap("test", KeyGroups::new(128, workers), worker).restored(stored.clone())
}

fn encode(cut: Cut) -> Result<Stored> {
    Ok(cut.encode()?.into_iter().map(Arc::new).collect())
}

fn cut() -> Cut {
    Cut::new(Epoch(1), CutKind { delta: true, track: true }, 5, 0)
}

/// What workers store that have the elements 10 * worker, 10 * worker + 1, ..., and one map.
fn store(workers: usize) -> Result<Stored> {
    let mut stored = Stored::new();
    for worker in 0..workers {
        let mut backend = backend(worker, workers, &Stored::new());
        let mut list = backend.list_state::<u64>("list")?;
        let mut union = backend.union_state::<u64>("union")?;
        let mut broadcast = backend.broadcast_state::<String, u64>("broadcast")?;
        let elements = (0..=worker as u64).map(|n| 10 * worker as u64 + n);
        list.update(elements.clone());
        elements.for_each(|n| union.add(n));
        broadcast.put("a".to_string(), 1);
        broadcast.put("b".to_string(), 2);
        let mut cut = cut();
        list.freeze(&mut cut);
        union.freeze(&mut cut);
        broadcast.freeze(&mut cut);
        // What is changed while the cut is encoded does not show in it.
        list.get_mut().clear();
        union.add(99);
        broadcast.remove(&"a".to_string());
        stored.extend(encode(cut)?);
    }
    Ok(stored)
}

#[test]
fn elements_are_dealt_out_or_come_to_all_and_the_map_comes_to_all() -> Result<()> {
    let all = [0, 10, 11, 20, 21, 22];
    for before in 1..=3 {
        let stored = store(before)?;
        let all = &all[..before * (before + 1) / 2];
        for after in 1..=3 {
            for worker in 0..after {
                let mut backend = backend(worker, after, &stored);
                let mine: Vec<u64> = all.iter().copied().skip(worker).step_by(after).collect();
                assert_eq!(backend.list_state::<u64>("list")?.get(), mine, "{before} to {after}");
                assert_eq!(backend.union_state::<u64>("union")?.get(), all);
                let broadcast = backend.broadcast_state::<String, u64>("broadcast")?;
                let entries: Vec<_> = broadcast.iter().map(|(s, n)| (s.as_str(), *n)).collect();
                assert_eq!(entries, [("a", 1), ("b", 2)], "{before} to {after}");
            }
        }
    }
    Ok(())
}

#[test]
fn one_copy_of_a_broadcast_map_is_stored() -> Result<()> {
    let stored = store(3)?;
    let sizes = stored.iter().filter(|state| state.state == "broadcast");
    let sizes: Vec<_> = sizes.map(|state| state.part.len()).collect();
    assert!(sizes[0] > sizes[1] && sizes[1] == sizes[2], "{sizes:?}");
    assert!(stored.iter().all(|state| state.slots.is_none()), "always complete, even in a delta");
    Ok(())
}

#[test]
fn a_state_without_anything_stored_begins_empty() -> Result<()> {
    let mut backend = backend(0, 1, &Stored::new());
    assert_eq!(backend.list_state::<u64>("list")?.get(), [0; 0]);
    assert!(backend.list_state::<u64>("list").is_err(), "the name is taken");
    assert!(backend.broadcast_state::<u64, u64>("map")?.is_empty());
    Ok(())
}

#[test]
fn elements_of_an_older_type_are_migrated_and_others_are_refused() -> Result<()> {
    let stored = store(2)?;
    let refused = backend(0, 1, &stored).list_state::<String>("list");
    assert!(refused.is_err_and(|error| error.sentence().contains("u64")));
    let texts = OperatorListDescriptor::<String>::new("list", Redistribution::Split)
        .migration(Migration::new(|n: u64| n.to_string()));
    assert_eq!(backend(0, 1, &stored).list_state_with(texts)?.get(), ["0", "10", "11"]);
    Ok(())
}
