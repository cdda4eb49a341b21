// What is done to a job from the page. Nothing is done without being asked for once more.

import { h } from "./dom.js";
import { jobPath, outcome, patch, post } from "./api.js";

/** Says something in the corner for a while. */
export function toast(text, kind) {
  const element = h("div", { class: `toast ${kind ?? ""}` }, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "bad" ? 12000 : 6000);
}

/** Asks for some values; `null` if whoever is asked does not want to. */
export function form(title, text, fields, confirm, kind) {
  const dialog = document.getElementById("dialog");
  const field = ({ name, label, type, value, min, placeholder, hint }) => {
    const input = h("input", {
      name,
      id: `field-${name}`,
      type: type ?? "text",
      min,
      placeholder,
      autocomplete: "off",
      "aria-describedby": hint ? `hint-${name}` : null,
    });
    if (type === "checkbox") input.checked = Boolean(value);
    else input.value = value ?? "";
    const note = hint ? h("small", { id: `hint-${name}` }, hint) : null;
    const caption = h("label", { for: `field-${name}` }, label);
    return h(
      "div",
      { class: type === "checkbox" ? "field check" : "field" },
      type === "checkbox" ? [input, caption] : [caption, input],
      note,
    );
  };
  return new Promise((resolve) => {
    const done = (value) => {
      dialog.onclose = null;
      dialog.close();
      resolve(value);
    };
    const element = h(
      "form",
      {
        method: "dialog",
        onsubmit: (event) => {
          event.preventDefault();
          const said = {};
          for (const { name, type } of fields) {
            const input = element.elements.namedItem(name);
            said[name] = type === "checkbox" ? input.checked : input.value;
          }
          done(said);
        },
      },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, text),
      fields.map(field),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", class: "quiet", onclick: () => done(null) }, "Back"),
        h("button", { type: "submit", class: kind ?? "primary" }, confirm),
      ),
    );
    dialog.replaceChildren(element);
    dialog.onclose = () => resolve(null);
    dialog.showModal();
    (element.querySelector("input") ?? element.querySelector("[type=submit]")).focus();
  });
}

async function follow(what, begin, path) {
  try {
    const said = await begin();
    const trigger = said?.["request-id"];
    toast(`${what}: under way\u2026`);
    const came = trigger ? await outcome(path, trigger) : {};
    const where = came.location ? ` at ${came.location}` : "";
    const number =
      came["checkpoint-id"] === undefined || came["checkpoint-id"] === null
        ? ""
        : ` (checkpoint ${came["checkpoint-id"]})`;
    toast(`${what}: done${where}${number}.`, "good");
  } catch (error) {
    toast(`${what} failed: ${error.message}`, "bad");
  }
  window.dispatchEvent(new Event("highwater-refresh"));
}

const FOLDER = {
  name: "folder",
  label: "Folder for the savepoint",
  placeholder: "file:///data/savepoints or s3://bucket/savepoints",
};

export async function savepoint(job) {
  const said = await form(
    `Savepoint of ${job.name}`,
    "The job takes a savepoint and goes on.",
    [FOLDER],
    "Take savepoint",
  );
  if (!said) return;
  const path = jobPath(job.jid, "/savepoints");
  await follow("Savepoint", () => post(path, { "target-directory": said.folder || null }), path);
}

export async function stop(job) {
  const said = await form(
    `Stop ${job.name}?`,
    "The job ends with a last checkpoint, or a savepoint in a folder, and can go on from there.",
    [
      { ...FOLDER, label: "Folder for a savepoint (optional)" },
      {
        name: "drain",
        type: "checkbox",
        label: "Drain: windows fire as if the input had ended",
        hint: "Nothing is left to go on with.",
      },
    ],
    "Stop the job",
    "danger",
  );
  if (!said) return;
  const begin = () =>
    post(jobPath(job.jid, "/stop"), { drain: said.drain, targetDirectory: said.folder || null });
  await follow("Stop", begin, jobPath(job.jid, "/savepoints"));
}

export async function rescale(job) {
  const said = await form(
    `Rescale ${job.name}`,
    "The job takes a checkpoint and goes on from it with other slots.",
    [
      {
        name: "parallelism",
        label: "Processes, each in a slot",
        type: "number",
        min: 1,
        value: job.parallelism,
      },
      {
        name: "workers",
        label: "Workers in each process",
        type: "number",
        min: 1,
        value: job.workers ?? "",
      },
    ],
    "Rescale",
  );
  if (!said) return;
  const path = jobPath(job.jid, "/rescaling");
  const workers = said.workers ? `&workers=${said.workers}` : "";
  await follow(
    "Rescaling",
    () => patch(`${path}?parallelism=${said.parallelism}${workers}`),
    path,
  );
}

export async function cancel(job) {
  const said = await form(
    `Cancel ${job.name}?`,
    "The job ends at once, without a checkpoint. What came after the last one is lost.",
    [],
    "Cancel the job",
    "danger",
  );
  if (said) await follow("Cancel", () => patch(`${jobPath(job.jid)}?mode=cancel`), "");
}

/** The buttons of a job that runs. */
export function buttons(job) {
  const ended = ["FINISHED", "CANCELED", "FAILED"].includes(job.state);
  if (ended) return null;
  const button = (text, act, kind, disabled) =>
    h("button", { type: "button", class: kind, disabled, onclick: () => act(job) }, text);
  const fixed = job.isStoppable === false;
  return h(
    "div",
    { class: "actions", role: "group", "aria-label": "Actions" },
    button("Savepoint", savepoint, "", fixed),
    button("Rescale", rescale, "", fixed),
    button("Stop", stop, "", fixed),
    button("Cancel", cancel, "danger-quiet", false),
  );
}
