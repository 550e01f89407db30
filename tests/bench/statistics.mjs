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
