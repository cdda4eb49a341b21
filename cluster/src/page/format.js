// Numbers, times and states as people read them.

const NONE = -9e18;
const END = 9e18;

export function count(n) {
  if (n === null || n === undefined) return "\u2013";
  if (n < 1e4) return Math.round(n).toLocaleString("en");
  const [unit, of] = n >= 1e9 ? ["G", 1e9] : n >= 1e6 ? ["M", 1e6] : ["k", 1e3];
  const value = n / of;
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}\u202f${unit}`;
}

export function rate(n) {
  return n > 0 && n < 10 ? `${n.toFixed(1)}/s` : `${count(n)}/s`;
}

export function bytes(n) {
  if (n === null || n === undefined) return "\u2013";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; n >= 1024 && at + 1 < units.length; at += 1) n /= 1024;
  return `${at === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)}\u202f${units[at]}`;
}

export function duration(ms) {
  if (ms === null || ms === undefined || ms < 0) return "\u2013";
  if (ms < 1000) return `${Math.round(ms)}\u202fms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)}\u202fs`;
  if (s < 120) return `${Math.floor(s)}\u202fs`;
  if (s < 7200) return `${Math.floor(s / 60)}\u202fmin ${Math.floor(s % 60)}\u202fs`;
  if (s < 172800) return `${Math.floor(s / 3600)}\u202fh ${Math.floor((s % 3600) / 60)}\u202fmin`;
  return `${Math.floor(s / 86400)}\u202fd ${Math.floor((s % 86400) / 3600)}\u202fh`;
}

export function instant(ms) {
  if (ms === null || ms === undefined || ms <= 0) return "\u2013";
  const at = new Date(ms);
  const text = at.toISOString();
  const today = text.slice(0, 10) === new Date().toISOString().slice(0, 10);
  return today ? `${text.slice(11, 19)} UTC` : `${text.slice(0, 10)} ${text.slice(11, 19)}`;
}

/** An event time: a date if it is one, else a number. */
export function watermark(ms) {
  if (ms === null || ms === undefined || ms < NONE) return "none yet";
  if (ms > END) return "end";
  if (ms < 1e11 || ms > 4e12) return ms.toLocaleString("en");
  return new Date(ms)
    .toISOString()
    .replace("T", " ")
    .replace(/\.(000)?(\d*)Z$/, (_, zero, rest) => (rest ? `.${rest}` : ""));
}

/** How far an event time is behind a clock, unless old events are replayed. */
export function lag(ms, now) {
  if (!(ms > 1e11 && ms < 4e12)) return null;
  return now - ms < 0 || now - ms > 30 * 86400e3 ? null : duration(now - ms);
}

export function percent(share) {
  return `${Math.round(share * 100)}\u202f%`;
}

const STATES = {
  RUNNING: "good",
  FINISHED: "done",
  CREATED: "wait",
  INITIALIZING: "wait",
  RESTARTING: "warn",
  FAILING: "bad",
  FAILED: "bad",
  CANCELLING: "warn",
  CANCELED: "done",
  SUSPENDED: "done",
  RECONCILING: "wait",
  COMPLETED: "good",
  IN_PROGRESS: "wait",
  active: "good",
  idle: "warn",
  finished: "done",
  ok: "good",
  low: "warn",
  high: "bad",
};

export function kindOf(state) {
  return STATES[state] ?? "wait";
}

/** A short name for what is JSON. */
export function split(json) {
  try {
    const value = JSON.parse(json);
    if (typeof value === "string") return value.split("/").pop();
    if (value && typeof value === "object") {
      const text = Object.values(value).find((part) => typeof part === "string");
      if (text) return text.split("/").pop();
    }
    return JSON.stringify(value);
  } catch {
    return json;
  }
}

/** A sentence of the coordinator with its event times as dates. */
export function sentence(text) {
  return text.replace(/\b1\d{12}\b/g, (ms) => watermark(Number(ms)));
}
