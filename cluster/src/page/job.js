// One job: its graph, its checkpoints, what went wrong, its processes.

import { jobPath, get, maybe } from "./api.js";
import { buttons } from "./actions.js";
import * as checkpoints from "./checkpoints.js";
import { badge, h, s, table, tile } from "./dom.js";
import * as f from "./format.js";
import { graph, legend } from "./graph.js";
import { blame, drawer, noBarrier, times } from "./vertex.js";

const TABS = [
  ["graph", "Graph"],
  ["checkpoints", "Checkpoints"],
  ["exceptions", "Exceptions"],
  ["processes", "Processes"],
];

/** Records per second of a job while the page is open. */
const seen = new Map();

function remember(id, perSecond) {
  const all = seen.get(id) ?? [];
  all.push(perSecond);
  if (all.length > 90) all.shift();
  seen.set(id, all);
  return all;
}

function spark(values) {
  const most = Math.max(1, ...values);
  const points = values.map(
    (value, i) => `${(i * 120) / Math.max(1, values.length - 1)} ${27 - (value / most) * 24}`,
  );
  const line = values.length < 2 ? "M0 27H120" : `M${points.join("L")}`;
  return s(
    "svg",
    { class: "spark", viewBox: "0 0 120 28", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { d: `${line}L120 28L0 28z`, class: "spark-fill" }),
    s("path", { d: line, class: "spark-line", "vector-effect": "non-scaling-stroke" }),
  );
}

function tiles(id, view, statistics) {
  const sum = (role, of) =>
    view.vertices
      .filter((vertex) => vertex.role === role)
      .reduce((total, vertex) => total + of(vertex), 0);
  const come = sum("source", (vertex) => vertex.rates.records_in);
  const go = sum("sink", (vertex) => vertex.rates.records_in);
  const sinks = view.vertices.filter((vertex) => vertex.role === "sink");
  const at = sinks.length ? Math.min(...sinks.map((vertex) => vertex.watermark)) : null;
  const behind = f.lag(at, view.at_ms);
  const worst = view.vertices.reduce(
    (a, b) => (b.rates.back_pressured_ms > (a?.rates.back_pressured_ms ?? -1) ? b : a),
    null,
  );
  const last = statistics?.latest?.completed;
  return h(
    "div",
    { class: "tiles" },
    h(
      "div",
      { class: "tile wide" },
      h("div", { class: "tile-name" }, "Records read"),
      h("div", { class: "tile-value" }, f.rate(come)),
      h(
        "div",
        { class: "tile-note" },
        `${f.count(sum("source", (vertex) => vertex.records_in))} in all`,
      ),
      spark(remember(id, come)),
    ),
    tile(
      "Records written",
      f.rate(go),
      `${f.count(sum("sink", (vertex) => vertex.records_in))} in all`,
    ),
    tile(
      "Watermark at the sinks",
      f.watermark(at).slice(0, 19),
      behind ? `${behind} behind the clock` : null,
      "text",
    ),
    tile(
      "Back-pressure",
      worst ? f.percent(worst.rates.back_pressured_ms / 1000) : "\u2013",
      worst && worst.rates.back_pressured_ms > 100 ? worst.name : "none to speak of",
      worst?.level === "high" ? "bad" : "",
    ),
    tile(
      "Last checkpoint",
      last ? f.duration(last.end_to_end_duration) : "\u2013",
      last ? `${f.bytes(last.state_size)}, number ${last.id}` : "none",
    ),
  );
}

function operators(view, id) {
  const row = (vertex) => ({
    key: vertex.uid,
    cells: [
      h(
        "a",
        { href: `#/jobs/${id}/graph/${encodeURIComponent(vertex.uid)}`, class: "strong" },
        vertex.name,
      ),
      vertex.role,
      f.rate(vertex.rates.records_in),
      f.rate(vertex.rates.records_out),
      f.count(vertex.records_in),
      f.watermark(vertex.watermark),
      h(
        "span",
        { class: "metered" },
        times(vertex.rates),
        f.percent(vertex.rates.busy_ms / 1000),
      ),
      badge(
        vertex.finished ? "finished" : vertex.level,
        f.kindOf(vertex.finished ? "finished" : vertex.level),
      ),
      `${Math.round(vertex.skew)}\u202f%`,
    ],
  });
  return table(
    "Operators",
    [
      ["Operator"],
      ["Role"],
      ["In", "number"],
      ["Out", "number"],
      ["Records in", "number"],
      ["Watermark", "number"],
      ["Busy"],
      ["Pressure"],
      ["Skew", "number"],
    ],
    view.vertices.map(row),
    "Not built yet.",
  );
}

async function graphTab(id, uid, view, statistics) {
  const [whole, one] = await Promise.all([
    maybe(jobPath(id, "/why")),
    uid ? maybe(jobPath(id, `/why?vertex=${encodeURIComponent(uid)}`)) : null,
  ]);
  const vertex = uid ? view.vertices.find((of) => of.uid === uid) : null;
  const held = (whole ?? []).slice(0, 4).map(blame);
  const takes = view.checkpoints && !whole?.some((of) => of.what.barrier !== undefined);
  if (takes) held.push(noBarrier());
  return [
    tiles(id, view, statistics),
    h(
      "section",
      { "aria-label": "What holds it back" },
      held.length ? h("div", { class: "blames" }, held) : null,
    ),
    h(
      "div",
      { class: vertex ? "with-drawer" : "alone" },
      h(
        "div",
        { class: "graph-side" },
        h("div", { class: "graph-card" }, legend(), graph(view, id, uid)),
        h("h2", {}, "Operators"),
        operators(view, id),
      ),
      vertex ? drawer(vertex, one, id) : null,
    ),
  ];
}

function exceptions(said) {
  const entries = said?.exceptionHistory?.entries ?? [];
  const one = (entry) =>
    h(
      "article",
      { class: "exception", "data-key": `${entry.timestamp}` },
      h(
        "header",
        {},
        h("b", {}, entry.exceptionName),
        h("span", {}, `attempt ${entry.attempt ?? "?"}, ${f.instant(entry.timestamp)}`),
      ),
      h("pre", { tabindex: "0" }, entry.stacktrace),
    );
  return [entries.length ? entries.map(one) : h("p", { class: "empty" }, "Nothing went wrong.")];
}

function processes(job, id) {
  const row = (process) => ({
    key: `${process.index}`,
    cells: [
      `${process.index}`,
      process["taskmanager-id"]
        ? h(
            "a",
            { href: `#/agents/${encodeURIComponent(process["taskmanager-id"])}` },
            process["taskmanager-id"],
          )
        : "\u2013",
      process.pid ? `${process.pid}` : "\u2013",
      badge(
        process.gone ? "gone" : process.joined ? "running" : "starting",
        process.gone ? "done" : process.joined ? "good" : "wait",
      ),
    ],
  });
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  return [
    table(
      "Processes",
      [["Process", "number"], ["Agent"], ["Pid", "number"], ["State"]],
      (job.processes ?? []).map(row),
      "No process runs.",
    ),
    h("h2", {}, "Program"),
    h(
      "dl",
      { class: "facts" },
      fact("Name", job["program-name"] ?? "\u2013"),
      fact("Arguments", h("code", {}, (job.arguments ?? []).join(" ") || "none")),
      fact("Content", h("code", {}, (job.program ?? "\u2013").slice(0, 16))),
      fact("Key groups", job.maxParallelism > 0 ? `${job.maxParallelism}` : "\u2013"),
      fact("Job", h("code", {}, id)),
    ),
  ];
}

export async function render(id, tab, uid) {
  const [job, view, statistics] = await Promise.all([
    get(jobPath(id)),
    get(jobPath(id, "/view")),
    maybe(jobPath(id, "/checkpoints")),
  ]);
  let body = [];
  if (tab === "graph") body = await graphTab(id, uid, view, statistics);
  if (tab === "checkpoints") body = checkpoints.render(statistics, view.checkpoints?.under_way);
  if (tab === "exceptions") body = exceptions(await maybe(jobPath(id, "/exceptions")));
  if (tab === "processes") body = processes(job, id);
  const link = ([name, text]) =>
    h("a", { href: `#/jobs/${id}/${name}`, "aria-current": name === tab ? "page" : null }, text);
  const workers = job.workers
    ? `${job.parallelism} \u00d7 ${job.workers} workers`
    : `${job.parallelism} processes`;
  const fragment = h(
    "div",
    { class: "page" },
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Jobs"), " / ", job.name),
    h(
      "div",
      { class: "job-head" },
      h("h1", {}, job.name),
      badge(job.state.toLowerCase(), f.kindOf(job.state)),
      h(
        "span",
        { class: "facts-line" },
        `${workers} \u00b7 attempt ${job.attempt} \u00b7 ${f.duration(job.duration)}`,
      ),
      h("span", { class: "grow" }),
      buttons(job),
    ),
    h("nav", { class: "tabs", "aria-label": "Parts of the job" }, TABS.map(link)),
    body,
  );
  fragment.title = job.name;
  return fragment;
}
