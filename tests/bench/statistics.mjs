// Numbers of rounds as one: the median, and how far they lie apart.
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function spread(values) {
    const known = values.filter((one) => Number.isFinite(one));
    if (known.length === 0) return undefined;
    return {
        median: median(known),
        min: Math.min(...known),
        max: Math.max(...known),
        rounds: known.length,
    };
}

/// Measurements of one thing as one: each number that all have.
export function medians(results) {
    const out = {};
    for (const [name, value] of Object.entries(results[0] ?? {})) {
        if (typeof value === 'number') out[name] = median(results.map((one) => one[name]));
        else if (value && typeof value === 'object')
            out[name] = medians(results.map((one) => one[name] ?? {}));
    }
    return out;
}

/// Parts of a distribution by which latencies are told, closer and closer to its end.
export const quantiles = [
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999,
    0.9995, 0.9999, 1,
];

/// What part of a distribution is above `us`, by its [part, us] pairs; between two of them in a
/// straight line.
function above(pairs, us) {
    let [part, low] = [0, 0];
    for (const [next, high] of pairs) {
        if (us < high) return 1 - part - ((us - low) / (high - low)) * (next - part);
        [part, low] = [next, high];
    }
    return 0;
}

/// A quantile of a mixture of {share, quantiles_us}, shares adding up to 1; good to 0.1%.
export function quantileOfMix(parts, wanted) {
    let [low, high] = [0, Math.max(...parts.flatMap((one) => one.quantiles_us.map(([, us]) => us)))];
    while (high - low > 0.001 * high) {
        const middle = (low + high) / 2;
        const tail = parts.reduce(
            (sum, one) => sum + one.share * above(one.quantiles_us, middle),
            0,
        );
        if (tail > 1 - wanted) low = middle;
        else high = middle;
    }
    return high;
}
