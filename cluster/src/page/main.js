// The page: which part is shown, how often it is refreshed, the token and the colours.

import { Refused, get, setToken, token } from "./api.js";
import { h, morph } from "./dom.js";
import { form, toast } from "./actions.js";
import * as agents from "./agents.js";
import * as job from "./job.js";
import * as overview from "./overview.js";

const EVERY_MS = 2000;
const main = document.getElementById("main");
const alert = document.getElementById("alert");
const pulse = document.getElementById("pulse");
let shown = "";
let round = 0;

/** Which part of the page an address names, with its parameters. */
function route() {
  const parts = location.hash
    .replace(/^#\/?/, "")
    .split("/")
    .filter(Boolean)
    .map(decodeURIComponent);
  if (parts[0] === "agents")
    return { page: "agents", render: () => agents.render(parts[1], parts[2]) };
  if (parts[0] === "jobs" && parts[1]) {
    return {
      page: "jobs",
      render: () => job.render(parts[1], parts[2] ?? "graph", parts.slice(3).join("/")),
    };
  }
  return { page: "jobs", render: () => overview.render() };
}

function complain(message) {
  alert.hidden = !message;
  if (alert.textContent !== (message ?? "")) alert.textContent = message ?? "";
  pulse.classList.toggle("lost", Boolean(message));
}

async function refresh() {
  round += 1;
  const mine = round;
  const { page, render } = route();
  const address = location.hash;
  for (const link of document.querySelectorAll("[data-page]")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    const fresh = await render();
    if (mine !== round) return;
    morph(main, h("main", {}, fresh));
    main.removeAttribute("aria-busy");
    document.title = fresh.title ? `${fresh.title} \u00b7 highwater` : "highwater";
    complain(null);
    pulse.title = `Refreshed at ${new Date().toLocaleTimeString()}`;
    if (
      shown !== address &&
      shown !== "" &&
      !address.includes(shown) &&
      !shown.includes(address)
    ) {
      window.scrollTo(0, 0);
    }
    shown = address;
  } catch (error) {
    if (mine !== round) return;
    if (error instanceof Refused) {
      complain(`${error.message}.`);
      login();
    } else {
      complain(
        error instanceof TypeError
          ? "The coordinator does not answer. Trying again\u2026"
          : `${error.message}.`,
      );
    }
  }
}

let asking = false;

async function login() {
  if (asking || document.getElementById("dialog").open) return;
  asking = true;
  const said = await form(
    "Token",
    "The coordinator answers whoever has its token. It is kept until this tab is closed.",
    [{ name: "token", label: "Token", type: "password", value: token() }],
    "Log in",
  );
  asking = false;
  if (!said) return;
  setToken(said.token.trim());
  try {
    await get("/overview");
    toast("Logged in.");
  } catch {
    // The next refresh says it.
  }
  refresh();
}

const THEMES = ["auto", "light", "dark"];
const button = document.getElementById("theme");

function theme(name) {
  if (name === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = name;
  localStorage.setItem("highwater-theme", name);
  button.textContent = { auto: "\u25d0 Auto", light: "\u25d0 Light", dark: "\u25d0 Dark" }[name];
  button.setAttribute("aria-label", `Colours: ${name}. Press to change.`);
  button.dataset.theme = name;
}

theme(THEMES.find((name) => name === localStorage.getItem("highwater-theme")) ?? "auto");
button.onclick = () => theme(THEMES[(THEMES.indexOf(button.dataset.theme) + 1) % THEMES.length]);
document.getElementById("login").onclick = login;
window.addEventListener("hashchange", refresh);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
document.addEventListener("keydown", (event) => {
  const drawer = document.querySelector(".drawer .close");
  if (event.key === "Escape" && drawer && !document.getElementById("dialog").open) drawer.click();
});
setInterval(() => {
  if (!document.hidden) refresh();
}, EVERY_MS);
window.addEventListener("highwater-refresh", refresh);
refresh();
