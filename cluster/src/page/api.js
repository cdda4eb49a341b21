// The coordinator's answers. The token is kept for this tab alone.

const KEY = "highwater-token";
let failure = null;

export class Refused extends Error {}

export function token() {
  return sessionStorage.getItem(KEY) ?? "";
}

export function setToken(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

async function ask(method, path, body) {
  const headers = { accept: "application/json" };
  if (token()) headers.authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  const text = await response.text();
  let said = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    said = text;
  }
  if (response.ok) return said;
  const why = said?.errors?.[0] ?? `${response.status} ${response.statusText}`;
  throw response.status === 401 ? new Refused(why) : new Error(why);
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body ?? {});
export const patch = (path) => ask("PATCH", path);

/** Asks for what may not be there: `null` instead of an error, unless the token is wrong. */
export async function maybe(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Refused || error instanceof TypeError) throw error;
    failure = error.message;
    return null;
  }
}

export const lastFailure = () => failure;

export const jobPath = (id, rest) => `/jobs/${encodeURIComponent(id)}${rest ?? ""}`;

/** Waits for what a request came to. */
export async function outcome(path, trigger) {
  for (;;) {
    const said = await get(`${path}/${trigger}`);
    if (said.status.id === "COMPLETED") {
      const failed = said.operation?.["failure-cause"];
      if (failed) throw new Error(failed["stack-trace"]);
      return said.operation ?? {};
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
}
