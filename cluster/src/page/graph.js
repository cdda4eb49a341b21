// The graph of a job: operators in layers behind the sources, each with its rates, its watermark
// and how it spends its time. The table below it says the same.

import { h, s } from "./dom.js";
import * as f from "./format.js";

const WIDTH = 214;
const HEIGHT = 116;
const GAP_X = 64;
const GAP_Y = 26;
const PAD = 14;

/** The layer of every operator: one behind the last of its inputs. */
export function layers(vertices) {
  const depth = new Map();
  const at = new Map(vertices.map((vertex) => [vertex.place, vertex]));
  const visiting = new Set();
  const of = (vertex) => {
    if (depth.has(vertex.place)) return depth.get(vertex.place);
    if (visiting.has(vertex.place)) return 0;
    visiting.add(vertex.place);
    const froms = vertex.inputs.map((input) => at.get(input.from.operator)).filter(Boolean);
    const value = froms.length ? 1 + Math.max(...froms.map(of)) : 0;
    visiting.delete(vertex.place);
    depth.set(vertex.place, value);
    return value;
  };
  vertices.forEach(of);
  const rows = [];
  for (const vertex of vertices) (rows[depth.get(vertex.place)] ??= []).push(vertex);
  // Operators stand beside their inputs, so that few edges cross.
  const order = new Map();
  rows.filter(Boolean).forEach((row) => {
    const mean = (vertex) => {
      const places = vertex.inputs
        .map((input) => order.get(input.from.operator))
        .filter((n) => n !== undefined);
      return places.length ? places.reduce((a, b) => a + b, 0) / places.length : 0;
    };
    row.sort((a, b) => mean(a) - mean(b) || a.place - b.place);
    row.forEach((vertex, i) => order.set(vertex.place, i - (row.length - 1) / 2));
  });
  return rows.filter(Boolean);
}

function placed(vertices, upright) {
  const rows = layers(vertices);
  const most = Math.max(...rows.map((row) => row.length));
  const spots = new Map();
  const [alongSize, acrossSize] = upright ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
  const alongGap = upright ? 44 : GAP_X;
  const acrossGap = upright ? 18 : GAP_Y;
  const across = most * acrossSize + (most - 1) * acrossGap;
  rows.forEach((row, layer) => {
    const used = row.length * acrossSize + (row.length - 1) * acrossGap;
    row.forEach((vertex, i) => {
      const along = PAD + layer * (alongSize + alongGap);
      const side = PAD + (across - used) / 2 + i * (acrossSize + acrossGap);
      spots.set(vertex.place, upright ? { x: side, y: along } : { x: along, y: side });
    });
  });
  const along = rows.length * alongSize + (rows.length - 1) * alongGap + 2 * PAD;
  const size = across + 2 * PAD;
  return { spots, width: upright ? size : along, height: upright ? along : size };
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
}

function heat(vertex) {
  const { busy_ms: busy, back_pressured_ms: held } = vertex.rates;
  if (vertex.finished) return "ended";
  if (vertex.level === "high" || (held > 500 && held >= busy)) return "held";
  if (busy > 800) return "hot";
  if (busy > 400) return "warm";
  return "calm";
}

const WORDS = {
  ended: "finished",
  held: "back-pressured",
  hot: "very busy",
  warm: "busy",
  calm: "ok",
};

function node(vertex, { x, y }, job, chosen) {
  const {
    busy_ms: busy,
    back_pressured_ms: held,
    records_in: come,
    records_out: go,
  } = vertex.rates;
  const kind = heat(vertex);
  const bar = WIDTH - 26;
  const label = [
    `${vertex.name}: ${WORDS[kind]}`,
    `${f.rate(come)} in, ${f.rate(go)} out`,
    `watermark ${f.watermark(vertex.output_watermark)}`,
    `busy ${f.percent(busy / 1000)}, back-pressured ${f.percent(held / 1000)}`,
  ].join(", ");
  const line = (dy, name, value, extra) => [
    s("text", { x: 14, y: dy, class: "node-name" }, name),
    s(
      "text",
      { x: WIDTH - 14, y: dy, class: `node-value ${extra ?? ""}`, "text-anchor": "end" },
      value,
    ),
  ];
  const group = s(
    "g",
    {
      class: `node ${kind} ${chosen ? "chosen" : ""}`,
      "data-key": vertex.uid,
      tabindex: "0",
      role: "link",
      transform: `translate(${x} ${y})`,
      "aria-label": label,
      onclick: () => {
        location.hash = `#/jobs/${job}/graph/${encodeURIComponent(vertex.uid)}`;
      },
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          event.currentTarget.onclick();
        }
      },
    },
    s("title", {}, `${vertex.name} (${vertex.uid})`),
    s("rect", { width: WIDTH, height: HEIGHT, rx: 12, class: "node-box" }),
    s("path", {
      d: `M0 12a12 12 0 0 1 12-12h${WIDTH - 24}a12 12 0 0 1 12 12v18H0z`,
      class: "node-head",
    }),
    s("text", { x: 14, y: 20, class: "node-title" }, cut(vertex.name, 24)),
    s(
      "text",
      { x: WIDTH - 14, y: 20, class: "node-workers", "text-anchor": "end" },
      `\u00d7${vertex.subtasks.length}`,
    ),
    line(48, vertex.role === "source" ? "read" : "in", f.rate(come)),
    vertex.role === "sink" ? null : line(66, "out", f.rate(go)),
    line(84, "watermark", watermarkOf(vertex), "mono"),
    s("rect", { x: 13, y: 97, width: bar, height: 7, rx: 3.5, class: "bar-rest" }),
    s("rect", {
      x: 13,
      y: 97,
      width: (bar * Math.min(busy + held, 1000)) / 1000,
      height: 7,
      rx: 3.5,
      class: "bar-held",
    }),
    s("rect", {
      x: 13,
      y: 97,
      width: (bar * Math.min(busy, 1000)) / 1000,
      height: 7,
      rx: 3.5,
      class: "bar-busy",
    }),
  );
  return group;
}

function watermarkOf(vertex) {
  const text = f.watermark(vertex.output_watermark);
  return text.length > 12 && text.includes(" ") ? text.slice(5, 19) : text;
}

function edge(input, from, to, upright, thickness) {
  const half = { x: WIDTH / 2, y: HEIGHT / 2 };
  const a = upright
    ? { x: from.x + half.x, y: from.y + HEIGHT }
    : { x: from.x + WIDTH, y: from.y + half.y };
  const b = upright ? { x: to.x + half.x, y: to.y } : { x: to.x, y: to.y + half.y };
  const bend = upright ? Math.max(24, (b.y - a.y) / 2) : Math.max(30, (b.x - a.x) / 2);
  const d = upright
    ? `M${a.x} ${a.y}C${a.x} ${a.y + bend} ${b.x} ${b.y - bend} ${b.x} ${b.y - 7}`
    : `M${a.x} ${a.y}C${a.x + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x - 7} ${b.y}`;
  const way =
    input.way.toLowerCase() + (input.from.tag ? ` \u00b7 ${cut(input.from.tag, 10)}` : "");
  return s(
    "g",
    { class: `edge ${input.way === "FORWARD" ? "straight" : "routed"}` },
    s("path", {
      d,
      "stroke-width": thickness,
      "marker-end": "url(#arrow)",
      "vector-effect": "non-scaling-stroke",
    }),
    s("text", { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 - 6, "text-anchor": "middle" }, way),
  );
}

/** The graph as a picture. */
export function graph(view, job, chosen) {
  if (view.vertices.length === 0)
    return h("p", { class: "empty" }, "The job has not built its operators yet.");
  const upright = window.innerWidth < 700;
  const { spots, width, height } = placed(view.vertices, upright);
  const most = Math.max(1, ...view.vertices.map((vertex) => vertex.rates.records_out));
  const at = new Map(view.vertices.map((vertex) => [vertex.place, vertex]));
  const edges = view.vertices.flatMap((vertex) =>
    vertex.inputs.map((input) => {
      const from = at.get(input.from.operator);
      if (!from) return null;
      const share =
        from.rates.records_out > 0 ? Math.log1p(from.rates.records_out) / Math.log1p(most) : 0;
      return edge(
        input,
        spots.get(from.place),
        spots.get(vertex.place),
        upright,
        1.4 + 2.4 * share,
      );
    }),
  );
  const nodes = view.vertices.map((vertex) =>
    node(vertex, spots.get(vertex.place), job, vertex.uid === chosen),
  );
  return h(
    "div",
    {
      class: "graph scroll",
      tabindex: "0",
      role: "region",
      "aria-label": "Graph of the job; the table below says the same",
    },
    s(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        width,
        height,
        style: { "min-width": `${upright ? 0 : width * 0.6}px` },
        role: "group",
        "aria-label": `Graph of ${view.vertices.length} operators`,
      },
      s(
        "defs",
        {},
        s(
          "marker",
          {
            id: "arrow",
            viewBox: "0 0 8 8",
            refX: 5,
            refY: 4,
            markerWidth: 8,
            markerHeight: 8,
            markerUnits: "userSpaceOnUse",
            orient: "auto",
          },
          s("path", { d: "M0 .8 7 4 0 7.2z", class: "arrow" }),
        ),
      ),
      edges,
      nodes,
    ),
  );
}

/** What the colours mean. */
export function legend() {
  const item = (kind, text) =>
    h("li", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  return h(
    "ul",
    { class: "legend", "aria-label": "Colours" },
    item("busy", "busy"),
    item("held", "back-pressured"),
    item("rest", "idle"),
  );
}
