// What was measured, second by second, and what follows from it.

const MAX_SAMPLES = 900;
/** A longer silence is a hole in the line. */
const GAP = 4;

const total = (counts) => Object.values(counts).reduce((sum, each) => sum + each, 0);

/** One answer of /api/stats, as one of /api/history has it. */
export function sampleOf(stats) {
  const sum = (value) => stats.listeners.reduce((all, each) => all + value(each), 0);
  return {
    time: stats.now,
    active: sum((each) => each.active),
    accepted: sum((each) => each.accepted),
    refused: sum((each) => total(each.refused)),
    cut: sum((each) => total(each.cut)),
    received: sum((each) => each.bytes_received),
    sent: sum((each) => each.bytes_sent),
    durations: stats.durations.counts,
    lag: stats.reactor_lag.counts,
  };
}

/** The samples of one answer of /api/history. */
export function samplesOf(history) {
  return history.samples.map((row) =>
    Object.fromEntries(history.columns.map((name, index) => [name, row[index]])),
  );
}

/** The last samples, the oldest first. */
export class Series {
  samples = [];

  replace(samples) {
    this.samples = samples.slice(-MAX_SAMPLES);
  }

  push(sample) {
    const last = this.samples.at(-1);
    if (last && sample.time <= last.time) return;
    this.samples.push(sample);
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
  }

  /** Those of the last `range` seconds. */
  within(range) {
    const last = this.samples.at(-1);
    return last ? this.samples.filter((each) => each.time > last.time - range - 1) : [];
  }
}

/**
 * For each sample the one that is about `width` seconds older, without a hole between them.
 * Calls `visit(sample, older)`; `older` is null where there is none.
 */
function eachWithOlder(samples, width, visit) {
  let start = 0;
  let older = 0;
  samples.forEach((sample, index) => {
    if (index > 0 && sample.time - samples[index - 1].time > GAP) {
      start = index;
      older = index;
    }
    while (older + 1 < index && samples[older + 1].time <= sample.time - width + 0.25) older += 1;
    visit(sample, index > start ? samples[Math.min(older, index - 1)] : null);
  });
}

/** A gauge as it was. */
export function values(samples, name) {
  const points = [];
  let last = null;
  for (const sample of samples) {
    if (last !== null && sample.time - last > GAP) points.push([last, null]);
    points.push([sample.time, sample[name]]);
    last = sample.time;
  }
  return points;
}

/** How much a counter grew a second, over `width` seconds. */
export function rates(samples, name, width) {
  const points = [];
  eachWithOlder(samples, width, (sample, older) => {
    const grown = older && sample[name] - older[name];
    points.push([sample.time, older && Math.max(0, grown) / (sample.time - older.time)]);
  });
  return points;
}

/** What came into each bucket between two samples; null after a restart. */
export function added(newer, older, name) {
  const counts = newer[name].map((each, index) => each - older[name][index]);
  return counts.some((each) => each < 0) ? null : counts;
}

/**
 * The value that this share of the counted ones is at or below; null if there are none.
 * Within a bucket values count as spread evenly, as Prometheus does it; what is above the
 * last bound counts as the last bound.
 */
export function quantile(bounds, counts, share) {
  const wanted = share * counts.reduce((sum, each) => sum + each, 0);
  if (wanted <= 0) return null;
  let reached = 0;
  for (let index = 0; index < bounds.length; index += 1) {
    if (counts[index] > 0 && reached + counts[index] >= wanted) {
      const low = index > 0 ? bounds[index - 1] : 0;
      return low + (bounds[index] - low) * ((wanted - reached) / counts[index]);
    }
    reached += counts[index];
  }
  return bounds.at(-1);
}

/** A quantile of what was counted in the `width` seconds before each sample. */
export function quantiles(samples, name, bounds, share, width) {
  const points = [];
  eachWithOlder(samples, width, (sample, older) => {
    const counts = older && added(sample, older, name);
    points.push([sample.time, counts && quantile(bounds, counts, share)]);
  });
  return points;
}
