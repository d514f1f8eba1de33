// The dashboard: asks once a second how the service is, and shows it.

import { get } from "./api.js";
import { BarChart, LineChart, element } from "./chart.js";
import { connect, rows, showBans } from "./controls.js";
import * as format from "./format.js";
import { Series, added, quantiles, rates, sampleOf, samplesOf, values } from "./series.js";

const PERIOD = 1000;
const NOTHING = "–";
const DAY = 86400;
/** Days before its end that a certificate is worth a warning. */
const SOON = 21;
/** Seconds over which rates are taken; charts of a longer time take more. */
const SMOOTH = 5;
/** The scale of durations, in seconds: 1 ms to 1 h. */
const DURATIONS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600];

const $ = (id) => document.getElementById(id);
const series = new Series();
const recent = [];
let stats = null;
let range = 300;
let timer = null;
let stale = true;

const charts = {
  active: new LineChart("Connections", {
    series: [{ name: "active", colour: "blue" }], format: format.count, least: 4,
  }),
  traffic: new LineChart("Traffic", {
    series: [{ name: "received", colour: "blue" }, { name: "sent", colour: "teal" }],
    format: format.throughput, least: 1000,
  }),
  arrivals: new LineChart("Arrivals", {
    series: [
      { name: "accepted", colour: "blue" },
      { name: "refused", colour: "red" },
      { name: "cut", colour: "amber" },
    ],
    format: format.rate, least: 1,
  }),
  durations: new LineChart("Connection duration", {
    series: [
      { name: "p50", colour: "blue" },
      { name: "p90", colour: "violet" },
      { name: "p99", colour: "red" },
    ],
    format: format.seconds, log: DURATIONS, least: 1, empty: "No connection has ended.",
  }),
  spread: new BarChart("Distribution of durations", {
    series: [{ name: "ended", colour: "violet" }],
    format: format.count, empty: "No connection has ended.",
  }),
  lag: new LineChart("Reactor lag", {
    series: [{ name: "p50", colour: "blue" }, { name: "p99", colour: "amber" }],
    format: format.seconds, least: 0.005, empty: "Nothing was measured.",
  }),
};

/** Change a text only when it is another: screen readers read changes. */
function put(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

const sum = (counts) => Object.values(counts).reduce((all, each) => all + each, 0);

function showState(name, text) {
  $("state").dataset.state = name;
  put("state", text);
}

function showHead() {
  put("service", stats.service);
  put("version", `netsuite ${stats.version}`);
  put("processes", stats.pids.length > 1 ? ` · ${stats.pids.length} processes` : "");
  document.title = `${stats.service} · netsuite`;
  if (stats.draining) showState("draining", "Draining");
  else if (stats.ready) showState("ready", "Ready");
  else showState("waiting", "Not ready");
  $("drain").disabled = stats.draining;
}

/** How much a number of a listener grew a second of late; null before that can be told. */
function recentRate(value) {
  const [first, last] = [recent[0], recent.at(-1)];
  if (first === last) return null;
  return Math.max(0, value(last) - value(first)) / (last.now - first.now);
}

/** Seconds over which rates are taken for what is shown now. */
function smoothing() {
  return Math.max(SMOOTH, range / 100);
}

function showCards() {
  const sample = sampleOf(stats);
  const samples = series.within(range);
  const rateOf = (name) => rates(samples, name, smoothing()).at(-1)?.[1] ?? 0;
  const peak = Math.max(...samples.map((each) => each.active), sample.active);
  put("active", format.count(sample.active));
  put("active-note", `most ${format.count(peak)}`);
  put("accepted", format.rate(rateOf("accepted")));
  put("accepted-note", `${format.count(sample.accepted)} in all`);
  put("refused", format.rate(rateOf("refused")));
  put("refused-note", `${format.count(sample.refused)} in all`);
  put("received", format.throughput(rateOf("received")));
  put("received-note", `${format.bytes(sample.received)} in all`);
  put("sent", format.throughput(rateOf("sent")));
  put("sent-note", `${format.bytes(sample.sent)} in all`);
  put("uptime", format.span(stats.now - stats.started));
  put("uptime-note", `since ${format.day(stats.started)}`);
}

function showCharts() {
  const width = Math.max(10, range / 30);
  const samples = series.within(range + width); // for the first points look back too
  const to = samples.at(-1)?.time ?? stats.now;
  const from = to - range;
  const shown = (points) => points.filter(([time]) => time >= from);
  const rate = (name) => shown(rates(samples, name, smoothing()));
  charts.active.show([shown(values(samples, "active"))], from, to);
  charts.traffic.show([rate("received"), rate("sent")], from, to);
  charts.arrivals.show([rate("accepted"), rate("refused"), rate("cut")], from, to);
  const { bounds } = stats.durations;
  const duration = (share) => shown(quantiles(samples, "durations", bounds, share, width));
  charts.durations.show([duration(0.5), duration(0.9), duration(0.99)], from, to);
  const names = [...bounds.map((each) => `≤${format.seconds(each, true)}`), "more"];
  const first = samples.find((each) => each.time >= from);
  const counts = first && added(samples.at(-1), first, "durations");
  charts.spread.show(names, counts ?? stats.durations.counts.map(() => 0));
  const late = stats.reactor_lag.bounds;
  const lag = (share) => shown(quantiles(samples, "lag", late, share, width));
  charts.lag.show([lag(0.5), lag(0.99)], from, to);
}

/** Numbers by reason, the greatest first. */
function reasons(counts, kind) {
  const all = Object.entries(counts).filter(([, number]) => number > 0);
  all.sort(([, one], [, other]) => other - one);
  if (!all.length) return [element("span", { class: "muted" }, "none")];
  return all.map(([reason, number]) =>
    element("span", { class: `chip ${kind}` }, reason, element("b", {}, format.count(number))));
}

/** A total, and how fast it grows. */
function growing(cell, total, write, rate, writeRate) {
  const grows = rate === null ? NOTHING : writeRate(rate);
  cell.replaceChildren(write(total), element("small", { class: "muted" }, grows));
}

function fillListener(row, listener) {
  const cells = row.children;
  const find = (each) => each.listeners.find((other) => other.name === listener.name);
  const rateOf = (name) => recentRate((each) => find(each)?.[name] ?? 0);
  const where = listener.addresses.map((each) => element("code", {}, each));
  cells[1].replaceChildren(...(where.length ? where : [NOTHING]));
  const { count, rate, bytes, throughput } = format;
  cells[2].textContent = count(listener.active);
  growing(cells[3], listener.accepted, count, rateOf("accepted"), rate);
  cells[4].replaceChildren(...reasons(listener.refused, "red"));
  cells[5].replaceChildren(...reasons(listener.cut, "amber"));
  growing(cells[6], listener.bytes_received, bytes, rateOf("bytes_received"), throughput);
  growing(cells[7], listener.bytes_sent, bytes, rateOf("bytes_sent"), throughput);
}

function showListeners() {
  rows($("listeners"), stats.listeners, (each) => each.name,
    (each) => {
      const cell = (kind) => element("td", kind ? { class: kind } : {});
      return element("tr", {}, element("th", { scope: "row" }, each.name), cell(), cell("right big"),
        cell("right"), cell(), cell(), cell("right"), cell("right"));
    },
    fillListener);
}

function showCertificates() {
  const all = Object.entries(stats.certificates).sort(([, one], [, other]) => one - other);
  rows($("certificates"), all, ([file]) => file,
    ([file]) => element("tr", {}, element("th", { scope: "row", title: file }, file),
      element("td", { class: "right" }), element("td", { class: "right" })),
    (row, [, ends]) => {
      const days = Math.floor((ends - stats.now) / DAY);
      const state = days < 0 ? "red" : days < SOON ? "amber" : "green";
      const text = days < 0 ? "expired" : `${format.plural(days, "day", "days")} left`;
      row.children[1].textContent = format.day(ends);
      row.children[2].replaceChildren(element("span", { class: `chip ${state}` }, text));
    });
  $("no-certificates").hidden = all.length > 0;
}

function showFacts() {
  const failed = stats.reloads.failed ?? 0;
  put("reloads", `${format.count(sum(stats.reloads))}${failed ? `, ${failed} failed` : ""}`);
  put("restarts", format.count(stats.restarts));
  put("pids", stats.pids.join(", "));
}

function show() {
  showHead();
  showCards();
  showCharts();
  showListeners();
  showBans(stats);
  showCertificates();
  showFacts();
}

function showLost(error) {
  const ended = stats?.draining && error.status === 0;
  const since = stats ? ` The numbers are from ${format.clock(stats.now)}.` : "";
  document.body.dataset.connection = "lost";
  showState("lost", ended ? "Ended" : "Lost");
  $("lost").hidden = false;
  if (ended) put("lost", `The service has drained and ended.${since}`);
  else if (error.status === 0) put("lost", `Connection to the service lost: trying again.${since}`);
  else put("lost", `The service does not tell how it is: ${error.message}.${since}`);
}

async function refresh() {
  if (stale) {
    series.replace(samplesOf(await get("/api/history")));
    recent.length = 0;
    stale = false;
  }
  const before = stats;
  stats = await get("/api/stats");
  if (before && before.started !== stats.started) {
    series.replace([]);
    recent.length = 0;
  }
  series.push(sampleOf(stats));
  recent.push(stats);
  while (recent.length > 2 && recent[1].now < stats.now - SMOOTH) recent.shift();
  document.body.dataset.connection = "good";
  $("lost").hidden = true;
  show();
}

async function tick() {
  timer = null;
  try {
    await refresh();
  } catch (error) {
    if (error.status === undefined) throw error; // a bug of this page
    stale = true;
    showLost(error);
  } finally {
    if (!document.hidden && timer === null) timer = setTimeout(tick, PERIOD);
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    timer = null;
  } else if (timer === null) {
    stale = true;
    timer = setTimeout(tick, 0);
  }
});

$("range").addEventListener("change", (event) => {
  range = Number(event.target.value);
  if (stats) show();
});

$("charts").append(...Object.values(charts).map((each) => each.node));
connect(() => stats);
tick();
