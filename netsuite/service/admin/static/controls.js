// What changes something: the token, bans, and the drain.

import { ServiceError, post, token } from "./api.js";
import { element } from "./chart.js";
import { plural, span } from "./format.js";

const $ = (id) => document.getElementById(id);
const SAID_FOR = 5000;

let saidTimer;

/** Say what was done, for a few seconds. */
function say(text) {
  const node = $("said");
  node.textContent = text;
  node.classList.add("on");
  clearTimeout(saidTimer);
  saidTimer = setTimeout(() => node.classList.remove("on"), SAID_FOR);
}

/** Show or take away the complaint about a field. */
function complain(id, field, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

function showLocked(locked) {
  $("unlock").hidden = !locked;
  $("unlocked").hidden = locked;
}

function lock(reason) {
  token.forget();
  showLocked(true);
  complain("token-error", $("token"), reason);
  if (reason) $("token").focus();
}

/** Run a change if there is a token; returns whether it was made. */
async function change(path, body, failed) {
  if (!token.get()) {
    lock("Enter the admin token first.");
    return false;
  }
  try {
    await post(path, body);
    return true;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    if (error.status === 401 || error.status === 429) lock(sentence(error.message));
    else failed(sentence(error.message));
    return false;
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

async function unlock() {
  const field = $("token");
  if (!field.value.trim()) {
    complain("token-error", field, "Enter the admin token first.");
    return;
  }
  token.set(field.value.trim());
  const refused = (text) => {
    token.forget();
    complain("token-error", field, text);
  };
  if (await change("/api/check", {}, refused)) {
    field.value = "";
    complain("token-error", field, "");
    showLocked(false);
    say("Unlocked until this tab is closed.");
  }
}

async function ban() {
  const field = $("network");
  const network = field.value.trim();
  const seconds = $("seconds").value ? Number($("seconds").value) : null;
  const failed = (text) => {
    complain("ban-error", field, text);
    field.focus();
  };
  if (!network) {
    failed("Enter an address or a network, such as 192.0.2.0/24.");
  } else if (await change("/api/ban", { network, seconds }, failed)) {
    complain("ban-error", field, "");
    field.value = "";
    say(`${network} is banned${seconds ? ` for ${span(seconds)}` : ""}.`);
  }
}

async function unban(network) {
  const failed = (text) => complain("ban-error", $("network"), text);
  if (await change("/api/unban", { network }, failed)) {
    complain("ban-error", $("network"), "");
    say(`${network} is not banned any more.`);
  }
}

function askToDrain(stats) {
  if (!token.get()) {
    lock("Enter the admin token first.");
    return;
  }
  const active = stats ? stats.listeners.reduce((sum, each) => sum + each.active, 0) : 0;
  $("drain-title").textContent = `Drain ${stats?.service ?? "the service"}?`;
  $("drain-text").textContent =
    "It takes no new connections, lets those that are open finish within its drain timeout, " +
    `and ends, as on SIGTERM. Open now: ${plural(active, "connection", "connections")}.`;
  $("drain-dialog").returnValue = "cancel";
  $("drain-dialog").showModal();
}

async function drain() {
  const failed = (text) => complain("token-error", $("token"), text);
  if (await change("/api/drain", {}, failed)) say("It drains.");
}

/** Put the controls to work. `latest`: what the service said last. */
export function connect(latest) {
  const submit = (id, action) =>
    $(id).addEventListener("submit", (event) => {
      event.preventDefault();
      action();
    });
  submit("unlock", unlock);
  submit("ban", ban);
  $("lock").addEventListener("click", () => lock(""));
  $("drain").addEventListener("click", () => askToDrain(latest()));
  $("drain-dialog").addEventListener("close", () => {
    if ($("drain-dialog").returnValue === "drain") drain();
  });
  $("bans").addEventListener("click", (event) => {
    const { network } = event.target.dataset;
    if (network) unban(network);
  });
  showLocked(!token.get());
}

/**
 * Make the rows of a table body those of `items`, keeping the ones that stay, so that a
 * button keeps the focus. `fill(row, item)` sets a row's cells.
 */
export function rows(body, items, key, create, fill) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const row = old.get(key(item)) ?? create(item);
    row.dataset.key = key(item);
    fill(row, item);
    return row;
  });
  const kept = new Set(wanted);
  for (const row of old.values()) if (!kept.has(row)) row.remove();
  wanted.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
}

/** List the bans, the one that ends first at the top. */
export function showBans(stats) {
  const all = Object.entries(stats.banned);
  all.sort(([, one], [, other]) => (one ?? Infinity) - (other ?? Infinity) || 0);
  rows($("bans"), all, ([network]) => network,
    ([network]) => {
      const button = element("button", { type: "button", "aria-label": `Unban ${network}` }, "Unban");
      button.dataset.network = network;
      return element("tr", {}, element("th", { scope: "row" }, network), element("td"),
        element("td", { class: "right" }, button));
    },
    (row, [, until]) => {
      row.children[1].textContent =
        until === null ? "until it restarts" : `${span(until - stats.now)} left`;
    });
  const more = stats.banned_networks - all.length;
  $("ban-count").textContent = String(stats.banned_networks);
  $("no-bans").hidden = all.length > 0 && more === 0;
  $("no-bans").textContent = more ? `and ${more} more` : "Nobody is banned.";
}
