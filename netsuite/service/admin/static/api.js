// Talking to the service that this page is of.

const TIMEOUT = 6000;
const KEY = "netsuite-admin-token";

/** An answer that is an error; `status` is 0 if there was no answer. */
export class ServiceError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options) {
  let response;
  let body;
  try {
    response = await fetch(path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    body = await response.json();
  } catch (error) {
    throw new ServiceError(response?.status ?? 0, `no answer (${error.message})`);
  }
  if (!response.ok) throw new ServiceError(response.status, body.error ?? response.statusText);
  return body;
}

/** What a path says. */
export function get(path) {
  return ask(path, {});
}

/** Ask for a change, with the token. */
export function post(path, body = {}) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token.get()}` },
    body: JSON.stringify(body),
  });
}

/** The admin token, for as long as this tab is open. */
export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};
