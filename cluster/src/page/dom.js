// Elements, and how the page changes without jumping: a new tree is made on every refresh, and only
// what differs is written into the old one, so that focus, selection and scroll positions stay.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set([
  "svg",
  "g",
  "path",
  "rect",
  "circle",
  "text",
  "tspan",
  "title",
  "line",
  "polyline",
  "defs",
  "marker",
  "clipPath",
]);

function make(space, tag, properties, children) {
  const element = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element[name] = value;
    else if (name === "style")
      Object.entries(value).forEach(([k, v]) => element.style.setProperty(k, v));
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An element of HTML. */
export function h(tag, properties, ...children) {
  return make(null, tag, properties, children);
}

/** An element of SVG. */
export function s(tag, properties, ...children) {
  if (!SVG_TAGS.has(tag)) throw new Error(`no element of SVG: ${tag}`);
  return make(SVG, tag, properties, children);
}

function same(a, b) {
  return (
    a.nodeType === b.nodeType &&
    a.nodeName === b.nodeName &&
    (a.nodeType !== Node.ELEMENT_NODE ||
      a.getAttribute("data-key") === b.getAttribute("data-key"))
  );
}

/** Makes the children of an element those of another. */
export function morph(old, fresh) {
  const wanted = [...fresh.childNodes];
  for (let i = 0; i < wanted.length; i += 1) {
    const node = wanted[i];
    let found = old.childNodes[i];
    if (found && !same(found, node)) {
      const later = [...old.childNodes].slice(i + 1).find((other) => same(other, node));
      if (later && node.nodeType === Node.ELEMENT_NODE && node.hasAttribute("data-key")) {
        old.insertBefore(later, found);
        found = later;
      }
    }
    if (!found) old.append(node);
    else if (!same(found, node)) found.replaceWith(node);
    else update(found, node);
  }
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function update(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    const kept = name === "open" && old.nodeName === "DETAILS";
    if (!fresh.hasAttribute(name) && !kept && name !== "style") old.removeAttribute(name);
  }
  // The policy of the page lets scripts set styles, but not the attribute.
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  for (const { name, value } of fresh.attributes) {
    if (name === "style") continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const event of ["onclick", "onsubmit", "onchange", "onkeydown"]) {
    if (old[event] !== fresh[event]) old[event] = fresh[event];
  }
  if (old.nodeName !== "INPUT" && old.nodeName !== "TEXTAREA") morph(old, fresh);
}

/** A table with a caption for whoever cannot see it; columns are `[title, class]`. */
export function table(caption, columns, rows, none) {
  if (rows.length === 0) return h("p", { class: "empty" }, none ?? "Nothing yet.");
  const head = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  const cell = (value, i) =>
    h("td", { class: columns[i][1], "data-label": columns[i][0] }, value);
  const row = ({ key, cells, ...rest }) => h("tr", { "data-key": key, ...rest }, cells.map(cell));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, rows.map(row)),
    ),
  );
}

/** A number with its name. */
export function tile(name, value, note, kind) {
  return h(
    "div",
    { class: `tile ${kind ?? ""}` },
    h("div", { class: "tile-name" }, name),
    h("div", { class: "tile-value" }, value),
    h("div", { class: "tile-note" }, note ?? "\u00a0"),
  );
}

/** A state as a coloured word. */
export function badge(text, kind) {
  return h("span", { class: `badge ${kind}` }, text);
}
