// Charts in SVG, drawn to the size that they have.

import { clock } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 56;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
const TIME_STEPS = [10, 15, 30, 60, 120, 180, 300];

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  return dress(node, attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Round numbers from 0 to at least `most`, four or five of them. */
function linearTicks(most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * power >= rough * 0.999) * power;
  const ticks = [];
  for (let index = 0; index === 0 || ticks.at(-1) < most * 0.999; index += 1) {
    ticks.push(index * step);
  }
  return ticks;
}

/** What all charts have: a figure with a title, a legend, a drawing and a note. */
class Figure {
  constructor(title, series) {
    this.svg = shape("svg", { role: "img", "aria-label": title });
    this.legend = series.map((each) => ({
      value: element("b"),
      item: element("li", { class: each.colour }),
      name: each.name,
    }));
    for (const each of this.legend) each.item.append(each.name, each.value);
    this.plot = element("div", { class: "plot" }, this.svg);
    this.note = element("p", { class: "note muted" });
    this.node = element(
      "figure",
      { class: "chart" },
      element("figcaption", {}, element("h3", {}, title),
        element("ul", { class: "legend" }, ...this.legend.map((each) => each.item))),
      this.plot,
      this.note,
    );
    this.title = title;
    this.width = 0;
    this.height = 0;
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  resize() {
    const { clientWidth, clientHeight } = this.plot;
    if (clientWidth === this.width && clientHeight === this.height) return;
    this.width = clientWidth;
    this.height = clientHeight;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.draw();
  }

  get right() {
    return Math.max(LEFT + 1, this.width - RIGHT);
  }

  get bottom() {
    return Math.max(TOP + 1, this.height - BOTTOM);
  }

  say(values) {
    this.legend.forEach((each, index) => {
      each.value.textContent = values[index];
    });
    const words = this.legend.map((each, index) => `${each.name} ${values[index]}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${words.join(", ") || "no values"}`);
  }
}

/**
 * Lines over time.
 * `series`: a name and the class that colours each line. `format`: a value as text.
 * `least`: the smallest top of the scale. `log`: the ticks of a logarithmic scale.
 */
export class LineChart extends Figure {
  constructor(title, { series, format, least = 1, log = null, empty = "" }) {
    super(title, series);
    this.format = format;
    this.least = least;
    this.log = log;
    this.empty = empty;
    this.lines = series.map(() => []);
    this.grid = shape("g", { class: "grid" });
    this.paths = series.map((each) => shape("path", { class: `line ${each.colour}` }));
    this.area = log ? null : shape("path", { class: `area ${series[0].colour}` });
    this.cursor = shape("line", { class: "cursor", y1: TOP });
    this.dots = series.map((each) => shape("circle", { class: each.colour, r: 3.5 }));
    this.tip = element("div", { class: "tip", hidden: "" });
    this.svg.append(this.grid, ...(this.area ? [this.area] : []), ...this.paths, this.cursor,
      ...this.dots);
    this.plot.append(this.tip);
    this.plot.tabIndex = 0;
    this.plot.setAttribute("aria-label", `${title}: arrow keys read it`);
    this.plot.setAttribute("role", "group");
    this.at = null;
    this.listen();
  }

  listen() {
    this.plot.addEventListener("pointermove", (event) => {
      const { left } = this.plot.getBoundingClientRect();
      this.point(this.timeAt(event.clientX - left));
    });
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.plot.addEventListener("blur", () => this.point(null));
    this.plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") this.point(null);
      if (!step) return;
      event.preventDefault();
      const times = this.lines[0].map(([time]) => time);
      const here = times.findIndex((time) => time >= (this.at ?? Infinity));
      const from = here < 0 ? times.length - 1 : here;
      this.point(times[Math.min(times.length - 1, Math.max(0, from + step))] ?? null);
    });
  }

  /** Show these lines, each a list of [time, value or null], between two times. */
  show(lines, from, to) {
    this.lines = lines;
    this.from = from;
    this.to = to;
    this.draw();
    this.say(lines.map((points) => this.text(points.at(-1)?.[1])));
  }

  text(value) {
    return value === null || value === undefined ? "–" : this.format(value);
  }

  draw() {
    if (!this.width || this.from === undefined) return;
    const most = Math.max(this.least, ...this.lines.flat().map(([, value]) => value ?? 0));
    this.ticks = this.log ? this.logTicks() : linearTicks(most);
    this.drawGrid();
    this.lines.forEach((points, index) => {
      this.paths[index].setAttribute("d", this.path(points));
    });
    if (this.area) this.area.setAttribute("d", this.areaPath(this.lines[0]));
    const any = this.lines.some((points) => points.some(([, value]) => value !== null));
    this.note.textContent = any ? "" : this.empty;
    this.drawCursor();
  }

  /** Those around what is shown, and three at least. */
  logTicks() {
    const shown = this.lines.flat().map(([, value]) => value).filter((value) => value !== null);
    const first = this.log.findLastIndex((each) => each <= Math.min(...shown));
    const last = this.log.findIndex((each) => each >= Math.max(...shown));
    const to = last < 0 ? this.log.length : Math.max(last + 1, 3);
    return this.log.slice(Math.max(0, Math.min(first, to - 3)), to);
  }

  x(time) {
    return LEFT + ((time - this.from) / (this.to - this.from)) * (this.right - LEFT);
  }

  timeAt(x) {
    return this.from + ((x - LEFT) / (this.right - LEFT)) * (this.to - this.from);
  }

  y(value) {
    const [first, top] = [this.ticks[0], this.ticks.at(-1)];
    const share = this.log
      ? Math.log(Math.max(value, first) / first) / Math.log(top / first)
      : value / top;
    return this.bottom - Math.min(1, share) * (this.bottom - TOP);
  }

  drawGrid() {
    const nodes = [];
    let last = Infinity;
    this.ticks.forEach((tick) => {
      const y = Math.round(this.y(tick)) + 0.5;
      if (last - y < 15) return;
      last = y;
      nodes.push(shape("line", { x1: LEFT, x2: this.right, y1: y, y2: y }));
      nodes.push(shape("text", { x: LEFT - 8, y: y + 3.5, class: "right" }, this.format(tick, true)));
    });
    const room = Math.max(2, Math.floor((this.right - LEFT) / 80));
    const step = TIME_STEPS.find((each) => (this.to - this.from) / each <= room) ?? 600;
    for (let ago = 0; ago <= this.to - this.from; ago += step) {
      const x = this.x(this.to - ago);
      const label = ago === 0 ? "now" : ago % 60 ? `−${ago} s` : `−${ago / 60} min`;
      const anchor = ago === 0 ? "right" : "middle";
      if (x > LEFT + 12) {
        nodes.push(shape("text", { x, y: this.height - 5, class: anchor }, label));
      }
    }
    this.grid.replaceChildren(...nodes);
  }

  path(points) {
    let text = "";
    let pen = "M";
    for (const [time, value] of points) {
      if (value === null) {
        pen = "M";
        continue;
      }
      text += `${pen}${this.x(time).toFixed(1)},${this.y(value).toFixed(1)}`;
      pen = "L";
    }
    return text;
  }

  areaPath(points) {
    const runs = [[]];
    for (const point of points) {
      if (point[1] === null) runs.push([]);
      else runs.at(-1).push(point);
    }
    return runs
      .filter((run) => run.length > 1)
      .map((run) => {
        const [first, last] = [run[0][0], run.at(-1)[0]].map((time) => this.x(time).toFixed(1));
        return `${this.path(run)}L${last},${this.bottom}L${first},${this.bottom}Z`;
      })
      .join("");
  }

  point(time) {
    this.at = time;
    this.drawCursor();
  }

  drawCursor() {
    const index = this.at === null ? -1 : nearest(this.lines[0] ?? [], this.at);
    const shown = index >= 0;
    this.cursor.classList.toggle("on", shown);
    this.tip.hidden = !shown;
    for (const dot of this.dots) dot.classList.remove("on");
    if (!shown) return;
    const time = this.lines[0][index][0];
    const x = this.x(time);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.cursor.setAttribute("y2", this.bottom);
    const rows = this.lines.map((points, line) => {
      const value = points[index]?.[1] ?? null;
      if (value !== null) {
        this.dots[line].classList.add("on");
        this.dots[line].setAttribute("cx", x);
        this.dots[line].setAttribute("cy", this.y(value));
      }
      const { name } = this.legend[line];
      return element("span", { class: this.legend[line].item.className }, name,
        element("b", {}, this.text(value)));
    });
    this.tip.replaceChildren(element("time", {}, clock(time)), ...rows);
    const left = x + 12 + this.tip.offsetWidth > this.width ? x - 12 - this.tip.offsetWidth : x + 12;
    this.tip.style.left = `${Math.max(0, left)}px`;
  }
}

function nearest(points, time) {
  let best = -1;
  points.forEach(([each], index) => {
    if (best < 0 || Math.abs(each - time) < Math.abs(points[best][0] - time)) best = index;
  });
  return best;
}

/** How often what was counted: a bar for each bucket. */
export class BarChart extends Figure {
  constructor(title, { series, format, empty }) {
    super(title, series);
    this.colour = series[0].colour;
    this.format = format;
    this.empty = empty;
    this.counts = [];
  }

  /** Show the counts of buckets with these names. */
  show(names, counts) {
    this.names = names;
    this.counts = counts;
    const all = counts.reduce((sum, each) => sum + each, 0);
    this.all = all;
    this.say([this.format(all)]);
    this.note.textContent = all ? "" : this.empty;
    this.draw();
  }

  draw() {
    if (!this.width || !this.counts.length) return;
    const ticks = linearTicks(Math.max(1, ...this.counts));
    const y = (value) => this.bottom - (value / ticks.at(-1)) * (this.bottom - TOP);
    const slot = (this.right - LEFT) / this.counts.length;
    const every = Math.ceil(46 / slot);
    const nodes = [];
    for (const tick of ticks) {
      const line = Math.round(y(tick)) + 0.5;
      if (!Number.isInteger(tick)) continue;
      nodes.push(shape("line", { x1: LEFT, x2: this.right, y1: line, y2: line }));
      nodes.push(shape("text", { x: LEFT - 8, y: line + 3.5, class: "right" }, this.format(tick, true)));
    }
    const grid = shape("g", { class: "grid" }, ...nodes);
    const bars = this.counts.map((value, index) => {
      const top = value ? Math.min(y(value), this.bottom - 2) : this.bottom;
      const x = LEFT + index * slot;
      const bar = shape("rect", {
        x: x + slot * 0.12, y: top, width: slot * 0.76, height: this.bottom - top, rx: 2,
        class: `bar ${this.colour}`,
      });
      const share = this.all ? Math.round((value / this.all) * 100) : 0;
      bar.append(shape("title", {}, `${this.names[index]}: ${this.format(value)} (${share} %)`));
      if (index % every === 0) {
        grid.append(shape("text", { x: x + slot / 2, y: this.height - 5, class: "middle" },
          this.names[index]));
      }
      return bar;
    });
    this.svg.replaceChildren(grid, ...bars);
  }
}
