// Agents, their machines, and what the processes on them print.

import { get, maybe } from "./api.js";
import { h, table, tile } from "./dom.js";
import * as f from "./format.js";

function meter(share, label) {
  return h(
    "span",
    { class: "meter", role: "img", "aria-label": label },
    h("span", { class: "meter-fill", style: { width: `${Math.min(100, share * 100)}%` } }),
  );
}

export async function render(id, log) {
  return id ? one(id, log) : all();
}

async function all() {
  const { taskmanagers } = await get("/taskmanagers");
  const row = (agent) => {
    const { cpuCores, physicalMemory, freeMemory } = agent.hardware;
    const used = physicalMemory - freeMemory;
    return {
      key: agent.id,
      cells: [
        h("a", { href: `#/agents/${encodeURIComponent(agent.id)}`, class: "strong" }, agent.id),
        agent.path,
        `${agent.slotsNumber - agent.freeSlots} of ${agent.slotsNumber}`,
        f.count(cpuCores),
        h(
          "span",
          { class: "metered" },
          meter(used / physicalMemory, "memory in use"),
          `${f.bytes(used)} of ${f.bytes(physicalMemory)}`,
        ),
        `${f.duration(Math.max(0, Date.now() - agent.timeSinceLastHeartbeat))} ago`,
      ],
    };
  };
  const fragment = h(
    "div",
    { class: "page" },
    h("h1", {}, "Agents"),
    table(
      "Agents",
      [
        ["Agent"],
        ["Host and process"],
        ["Slots in use", "number"],
        ["Cores", "number"],
        ["Memory"],
        ["Heard", "number"],
      ],
      taskmanagers.map(row),
      "No agent is there. Start one with: highwater agent",
    ),
  );
  fragment.title = "Agents";
  return fragment;
}

async function one(id, log) {
  const path = `/taskmanagers/${encodeURIComponent(id)}`;
  const [agent, names] = await Promise.all([get(path), maybe(`${path}/logs`)]);
  const text = log ? await maybe(`${path}/logs/${encodeURIComponent(log)}`) : null;
  const said = typeof text === "string" ? text : (text?.text ?? text?.content ?? "");
  const { cpuCores, physicalMemory, freeMemory, pids } = agent.hardware;
  const row = ({ name, size }) => ({
    key: name,
    cells: [
      h(
        "a",
        {
          href: `#/agents/${encodeURIComponent(id)}/${encodeURIComponent(name)}`,
          "aria-current": name === log ? "true" : null,
        },
        name,
      ),
      f.bytes(size),
    ],
  });
  const fragment = h(
    "div",
    { class: "page" },
    h("p", { class: "crumbs" }, h("a", { href: "#/agents" }, "Agents"), " / ", id),
    h("h1", {}, id),
    h(
      "div",
      { class: "tiles" },
      tile(
        "Slots in use",
        `${agent.slotsNumber - agent.freeSlots} of ${agent.slotsNumber}`,
        agent.path,
      ),
      tile("Cores", f.count(cpuCores)),
      tile(
        "Memory in use",
        f.bytes(physicalMemory - freeMemory),
        `of ${f.bytes(physicalMemory)}`,
      ),
      tile("Processes", f.count(pids)),
    ),
    h(
      "section",
      {},
      h("h2", {}, "Logs"),
      table(
        "Logs",
        [["File"], ["Size", "number"]],
        (names?.logs ?? []).map(row),
        "No process has run here yet.",
      ),
    ),
    log
      ? h(
          "section",
          {},
          h("h2", {}, log),
          h("pre", { class: "log", tabindex: "0" }, said || "(empty)"),
        )
      : null,
  );
  fragment.title = id;
  return fragment;
}
