// The checkpoints of a job: how many, how long, how large.

import { badge, h, s, table, tile } from "./dom.js";
import * as f from "./format.js";

/** A bar for each of the last checkpoints, oldest first. */
function bars(title, history, of, shown) {
  const all = history
    .filter((entry) => entry.status === "COMPLETED")
    .slice(0, 40)
    .reverse();
  if (all.length === 0) return null;
  const most = Math.max(1, ...all.map(of));
  const step = 14;
  const bar = (entry, i) => {
    const height = Math.max(2, (of(entry) / most) * 64);
    return s(
      "rect",
      {
        x: i * step + 2,
        y: 70 - height,
        width: step - 4,
        height,
        rx: 2,
        class: entry.is_savepoint ? "savepoint" : "",
      },
      s("title", {}, `${entry.id}: ${shown(of(entry))}`),
    );
  };
  return h(
    "figure",
    { class: "bars" },
    h("figcaption", {}, title, h("span", {}, `up to ${shown(most)}`)),
    s(
      "svg",
      {
        viewBox: `0 0 ${Math.max(all.length, 12) * step} 72`,
        height: 72,
        role: "img",
        "aria-label": `${title} of the last ${all.length} checkpoints, up to ${shown(most)}`,
        preserveAspectRatio: "xMinYMax meet",
      },
      all.map(bar),
    ),
  );
}

export function render(checkpoints, underWay) {
  if (!checkpoints) return [h("p", { class: "empty" }, "The job takes no checkpoints.")];
  const { counts, summary, latest, history } = checkpoints;
  const spread = (of, shown) => [shown(of?.min), shown(of?.avg), shown(of?.max)];
  const row = (entry) => ({
    key: `${entry.id}`,
    cells: [
      `${entry.id}`,
      badge(entry.status.toLowerCase().replace("_", " "), f.kindOf(entry.status)),
      entry.is_savepoint ? "savepoint" : "checkpoint",
      f.instant(entry.trigger_timestamp),
      f.duration(entry.end_to_end_duration),
      f.bytes(entry.state_size),
      entry.failure_message ?? entry.external_path ?? "",
    ],
  });
  const stage = {
    freezing: "operators cut and store",
    storing: "manifest and log",
    committing: "sinks commit",
  };
  const running = (underWay ?? []).map((of) => ({
    key: `${of.checkpoint}`,
    cells: [
      `${of.checkpoint}`,
      badge("in progress", "wait"),
      "checkpoint",
      f.instant(of.triggered_ms),
      f.duration(Date.now() - of.triggered_ms),
      "\u2013",
      `${stage[of.stage]}: ${of.acknowledged} acknowledged${
        of.waits_for.length
          ? `, waits for ${of.waits_for
              .slice(0, 3)
              .map((one) => `${one.uid} on ${one.worker}`)
              .join(", ")}${of.waits_for.length > 3 ? "\u2026" : ""}`
          : ""
      }`,
    ],
  }));
  const last = latest.completed;
  return [
    h(
      "div",
      { class: "tiles" },
      tile("Completed", f.count(counts.completed), `${f.count(counts.total)} triggered`),
      tile(
        "Failed",
        f.count(counts.failed),
        latest.failed ? `last: ${latest.failed.id}` : "none",
        counts.failed ? "bad" : "",
      ),
      tile(
        "In progress",
        f.count(counts.in_progress),
        counts.restored ? "restored from a checkpoint" : "started anew",
      ),
      tile(
        "Last one",
        last ? f.duration(last.end_to_end_duration) : "\u2013",
        last ? `number ${last.id}, ${f.bytes(last.state_size)}` : "none yet",
      ),
    ),
    h(
      "div",
      { class: "charts" },
      bars("Duration", history, (entry) => entry.end_to_end_duration, f.duration),
      bars("Size", history, (entry) => entry.state_size, f.bytes),
    ),
    h("h2", {}, "Summary"),
    table(
      "Summary",
      [["Of those completed"], ["Least", "number"], ["Mean", "number"], ["Most", "number"]],
      [
        {
          key: "duration",
          cells: ["Duration", ...spread(summary.end_to_end_duration, f.duration)],
        },
        { key: "size", cells: ["Size", ...spread(summary.state_size, f.bytes)] },
      ],
    ),
    h("h2", {}, "History"),
    table(
      "Checkpoints",
      [
        ["Number", "number"],
        ["State"],
        ["Kind"],
        ["Triggered", "number"],
        ["Duration", "number"],
        ["Size", "number"],
        ["Remark", "wide"],
      ],
      [...running, ...history.map(row)],
      "None yet.",
    ),
  ];
}
