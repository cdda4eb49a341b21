//! Which agents the processes of an attempt run on: those with the most free slots, in turn.

use std::collections::BTreeMap;

use super::Coordinator;
use crate::frame::AgentId;

impl Coordinator {
    /// Returns the free slots of each agent that is connected.
    #[must_use]
    pub fn free_slots(&self) -> BTreeMap<AgentId, usize> {
        let connected = self.agents.iter().filter(|(_, agent)| agent.left.is_none());
        let mut free: BTreeMap<_, _> =
            connected.map(|(id, agent)| (id.clone(), agent.slots)).collect();
        let processes = self.jobs.values().flat_map(|job| job.left());
        for agent in processes.filter_map(|(_, process)| process.agent.as_ref()) {
            if let Some(slots) = free.get_mut(agent) {
                *slots = slots.saturating_sub(1);
            }
        }
        free
    }

    /// Returns how many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.agents.values().map(|agent| agent.slots).sum()
    }

    /// Returns an agent for each of so many processes, `None` if there are not enough free slots.
    pub(super) fn places(&self, processes: usize) -> Option<Vec<AgentId>> {
        let mut free = self.free_slots();
        let mut places = Vec::with_capacity(processes.min(1024));
        for _ in 0..processes {
            // The first of those with the most.
            let (agent, slots) = free.iter_mut().rev().max_by_key(|(_, slots)| **slots)?;
            *slots = slots.checked_sub(1)?;
            places.push(agent.clone());
        }
        Some(places)
    }
}
