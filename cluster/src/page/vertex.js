// One operator: why it is where it is, its workers, its splits.

import { badge, h, table } from "./dom.js";
import * as f from "./format.js";

const CALM = new Set([
  "done",
  "slowest_split",
  "in_transit",
  "backlog",
  "upload",
  "manifest",
  "sink_commit",
  "not_triggered",
  "own_watermarks",
  "all_idle",
]);

/** Who holds back what, as a card. */
export function blame(of) {
  const barrier = of.what.barrier !== undefined;
  const calm = CALM.has(of.cause.kind);
  const what = barrier
    ? `Barrier of checkpoint ${of.what.barrier}`
    : `Watermark ${f.watermark(of.what.watermark)}`;
  const link = (step) =>
    h(
      "li",
      {},
      h("b", {}, step.name),
      step.worker === null ? "" : ` on worker ${step.worker}`,
      ` ${f.sentence(step.says)}`,
    );
  return h(
    "div",
    {
      class: `blame ${calm ? "calm" : "held"}`,
      "data-key": barrier ? "barrier" : `watermark ${of.chain[0]?.uid ?? ""}`,
    },
    h("div", { class: "blame-what" }, what),
    h("div", { class: "blame-cause" }, f.sentence(of.sentence)),
    of.chain.length
      ? h(
          "details",
          {},
          h(
            "summary",
            {},
            `${of.chain.length} ${of.chain.length === 1 ? "step" : "steps"} to the cause`,
          ),
          h("ol", {}, of.chain.map(link)),
        )
      : null,
  );
}

/** How an operator spends its time, as a bar with its numbers. */
export function times(rates) {
  const { busy_ms: busy, back_pressured_ms: held } = rates;
  const text = `busy ${f.percent(busy / 1000)}, back-pressured ${f.percent(held / 1000)}`;
  return h(
    "span",
    { class: "times", role: "img", "aria-label": text, title: text },
    h("span", { class: "times-busy", style: { width: `${busy / 10}%` } }),
    h("span", { class: "times-held", style: { width: `${held / 10}%` } }),
  );
}

function subtasks(vertex) {
  const row = ({ task, process, level }) => ({
    key: `${task.worker}`,
    cells: [
      `${task.worker}`,
      `${process}`,
      f.rate(task.rates.records_in),
      f.count(task.records_in),
      f.count(task.records_out),
      f.watermark(task.watermark),
      h("span", { class: "metered" }, times(task.rates), f.percent(task.rates.busy_ms / 1000)),
      badge(level, f.kindOf(level)),
      f.count(task.queue),
      task.barrier ? f.duration(task.barrier.alignment_ns / 1e6) : "\u2013",
    ],
  });
  return table(
    `Workers of ${vertex.name}`,
    [
      ["Worker", "number"],
      ["Process", "number"],
      ["In", "number"],
      ["Records in", "number"],
      ["Records out", "number"],
      ["Watermark", "number"],
      ["Busy"],
      ["Pressure"],
      ["Queue", "number"],
      ["Alignment", "number"],
    ],
    vertex.subtasks.map(row),
  );
}

function splits(vertex) {
  const all = vertex.subtasks.flatMap(({ task }) =>
    task.splits.map((split) => ({ ...split, worker: task.worker })),
  );
  if (all.length === 0) return null;
  const row = (split) => ({
    key: `${split.worker} ${split.split}`,
    cells: [
      h("span", { title: split.split }, f.split(split.split)),
      `${split.worker}`,
      badge(split.status, f.kindOf(split.status)),
      f.watermark(split.watermark),
      f.count(split.records),
      f.duration(split.silent_ms),
      h("code", { title: split.offset }, split.offset.slice(0, 40)),
    ],
  });
  const shown = all.slice(0, 200);
  return [
    h("h3", {}, `Splits (${all.length})`),
    table(
      `Splits of ${vertex.name}`,
      [
        ["Split"],
        ["Worker", "number"],
        ["State"],
        ["Watermark", "number"],
        ["Records", "number"],
        ["Silent for", "number"],
        ["Offset"],
      ],
      shown.map(row),
    ),
  ];
}

/** The drawer of an operator. */
export function drawer(vertex, blames, job) {
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  const late = vertex.subtasks.reduce((sum, { task }) => sum + task.late_records_dropped, 0);
  const timers = vertex.subtasks.reduce((sum, { task }) => sum + task.fired_timers, 0);
  return h(
    "aside",
    {
      class: "drawer",
      "aria-label": `Operator ${vertex.name}`,
      "data-key": `drawer ${vertex.uid}`,
    },
    h(
      "div",
      { class: "drawer-head" },
      h("div", {}, h("h2", {}, vertex.name), h("code", {}, vertex.uid)),
      h(
        "button",
        {
          type: "button",
          class: "quiet close",
          "aria-label": "Close",
          onclick: () => {
            location.hash = `#/jobs/${job}/graph`;
          },
        },
        "\u00d7",
      ),
    ),
    h("h3", {}, "Why is it here?"),
    (blames ?? []).map(blame),
    h("h3", {}, "Numbers"),
    h(
      "dl",
      { class: "facts" },
      fact("Records in", `${f.count(vertex.records_in)} (${f.rate(vertex.rates.records_in)})`),
      fact("Records out", `${f.count(vertex.records_out)} (${f.rate(vertex.rates.records_out)})`),
      fact(
        "Bytes out",
        vertex.rates.bytes_out === null ? "\u2013" : `${f.bytes(vertex.rates.bytes_out)}/s`,
      ),
      fact("Watermark", f.watermark(vertex.watermark)),
      fact("Promised downstream", f.watermark(vertex.output_watermark)),
      fact("Late records dropped", f.count(late)),
      fact("Timers fired", f.count(timers)),
      fact("Data skew", `${Math.round(vertex.skew)}\u202f%`),
    ),
    h("h3", {}, "Workers"),
    subtasks(vertex),
    splits(vertex),
  );
}

/** Stands for a barrier while no checkpoint is under way, so that nothing jumps when one is. */
export function noBarrier() {
  return h(
    "div",
    { class: "blame calm", "data-key": "barrier" },
    h("div", { class: "blame-what" }, "Barrier"),
    h("div", { class: "blame-cause faint" }, "No checkpoint is under way."),
  );
}
