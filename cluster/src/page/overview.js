// All jobs, and the cluster in a few numbers.

import { get } from "./api.js";
import { badge, h, table, tile } from "./dom.js";
import * as f from "./format.js";

export async function render() {
  const [cluster, { jobs }] = await Promise.all([get("/overview"), get("/jobs/overview")]);
  const ended = (job) => ["FINISHED", "CANCELED", "FAILED"].includes(job.state);
  const used = cluster["slots-total"] - cluster["slots-available"];
  const order = (a, b) => b["start-time"] - a["start-time"];
  const row = (job) => ({
    key: job.jid,
    cells: [
      h("a", { href: `#/jobs/${job.jid}`, class: "strong" }, job.name),
      badge(job.state.toLowerCase(), f.kindOf(job.state)),
      job["waits-for-slots"]
        ? `waits for ${job["waits-for-slots"]} slots`
        : job.workers
          ? `${job.parallelism} \u00d7 ${job.workers}`
          : `${job.parallelism}`,
      f.count(job.attempt),
      f.instant(job["start-time"]),
      f.duration(job.duration),
    ],
  });
  const columns = [
    ["Job"],
    ["State"],
    ["Processes \u00d7 workers", "number"],
    ["Attempt", "number"],
    ["Submitted", "number"],
    ["For", "number"],
  ];
  const list = (title, of, none) =>
    h("section", {}, h("h2", {}, title), table(title, columns, of.sort(order).map(row), none));
  const fragment = h(
    "div",
    { class: "page" },
    h("h1", { class: "hidden" }, "Overview"),
    h(
      "div",
      { class: "tiles" },
      tile(
        "Running",
        f.count(cluster["jobs-running"]),
        `${f.count(cluster["jobs-finished"])} finished`,
      ),
      tile(
        "Failed",
        f.count(cluster["jobs-failed"]),
        `${f.count(cluster["jobs-cancelled"])} canceled`,
        cluster["jobs-failed"] ? "bad" : "",
      ),
      tile(
        "Slots in use",
        `${used} of ${cluster["slots-total"]}`,
        `${cluster["slots-available"]} free`,
      ),
      tile(
        "Agents",
        f.count(cluster.taskmanagers),
        `version ${cluster["highwater-version"] ?? cluster["flink-version"] ?? ""}`,
      ),
    ),
    list(
      "Running jobs",
      jobs.filter((job) => !ended(job)),
      "No job runs. Start one with: highwater run my-job",
    ),
    list("Jobs that have ended", jobs.filter(ended), "None yet."),
  );
  fragment.title = "Jobs";
  return fragment;
}
