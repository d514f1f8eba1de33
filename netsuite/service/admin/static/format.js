// Numbers as people read them.

const THIN = "\u202f";
const PREFIXES = ["", "k", "M", "G", "T", "P"];

/** Three digits; a tidy number has no zeros behind the point, one that moves keeps its width. */
function short(value, tidy) {
  const text = value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  return tidy ? String(Number(text)) : text;
}

function scaled(value, unit, tidy) {
  if (value === 0) return unit && !tidy ? "0" + THIN + unit : "0";
  let step = 0;
  while (value >= 999.5 && step < PREFIXES.length - 1) {
    value /= 1000;
    step += 1;
  }
  const suffix = PREFIXES[step] + unit;
  return suffix ? short(value, tidy) + THIN + suffix : short(value, tidy);
}

/** How many: 950, 9,500, 95k. */
export function count(value, tidy = false) {
  if (value < 10000 && Number.isInteger(value)) {
    return value.toLocaleString("en");
  }
  return scaled(value, "", tidy);
}

/** How many a second. */
export function rate(value, tidy = false) {
  return value === 0 && tidy ? "0" : scaled(value, "", tidy) + "/s";
}

/** Bytes, with decimal prefixes. */
export function bytes(value, tidy = false) {
  return scaled(value, "B", tidy);
}

/** Bytes a second. */
export function throughput(value, tidy = false) {
  return scaled(value, "B/s", tidy);
}

/** A short time: 350 µs, 1.2 ms, 15 s, 5 min, 2 h. */
export function seconds(value, tidy = false) {
  if (value === 0) return "0";
  if (value < 0.001) return short(value * 1e6, tidy) + THIN + "µs";
  if (value < 1) return short(value * 1000, tidy) + THIN + "ms";
  if (value < 60) return short(value, tidy) + THIN + "s";
  if (value < 3600) return short(value / 60, tidy) + THIN + "min";
  return short(value / 3600, tidy) + THIN + "h";
}

/** A long time in two units: 3 d 4 h, 12 min 5 s. */
export function span(value) {
  const parts = [];
  let left = Math.max(0, Math.floor(value));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const whole = Math.floor(left / size);
    left -= whole * size;
    if (whole > 0 || (unit === "s" && parts.length === 0)) {
      parts.push(whole + THIN + unit);
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** A day: 2027-03-05. */
export function day(time) {
  return new Date(time * 1000).toISOString().slice(0, 10);
}

/** A time of day on the reader's clock. */
export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString([], { hour12: false });
}

/** One thing, several things. */
export function plural(number, one, several) {
  return `${count(number)} ${number === 1 ? one : several}`;
}
