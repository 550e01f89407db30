// What the system and the shop say of running processes: CPU, memory, counters.
import { readFileSync, readdirSync } from 'node:fs';

function tryRead(path) {
    try {
        return readFileSync(path, 'utf8');
    } catch {
        return ''; // a process or thread that has ended meanwhile
    }
}

function tasksOf(pid) {
    try {
        return readdirSync(`/proc/${pid}/task`);
    } catch {
        return [];
    }
}

/// Microseconds that the threads of a process have run, as the scheduler counted.
export function cpuOf(pid) {
    const ns = tasksOf(pid).map((id) =>
        Number(tryRead(`/proc/${pid}/task/${id}/schedstat`).split(' ')[0] || 0),
    );
    return ns.reduce((sum, one) => sum + one, 0) / 1000;
}

/// The same by thread name.
export function cpuByThread(pid) {
    const out = {};
    for (const id of tasksOf(pid)) {
        const name = tryRead(`/proc/${pid}/task/${id}/comm`).trim();
        const ns = Number(tryRead(`/proc/${pid}/task/${id}/schedstat`).split(' ')[0] || 0);
        out[name] = (out[name] ?? 0) + ns / 1000;
    }
    return out;
}

/// Microseconds that ended children of a process had run.
function endedOf(pid) {
    const stat = tryRead(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticksPerSecond = 100; // USER_HZ, the same on all of Linux' platforms that we run on
    return ((Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) / ticksPerSecond) * 1e6;
}

/// Of a process and all below it, those that have ended included.
export function cpuOfTree(pid) {
    return descendantsOf(pid).reduce((sum, one) => sum + cpuOf(one) + endedOf(one), 0);
}

function descendantsOf(pid) {
    const children = tasksOf(pid).flatMap((id) =>
        tryRead(`/proc/${pid}/task/${id}/children`)
            .split(' ')
            .filter((one) => one !== ''),
    );
    return [Number(pid), ...children.flatMap((one) => descendantsOf(one))];
}

/// MiB: its own pages, and its share of those that others map, too.
export function pssOf(pid) {
    const found = /^Pss:\s+(\d+) kB/m.exec(tryRead(`/proc/${pid}/smaps_rollup`));
    return Number(found?.[1] ?? 0) / 1024;
}

/// Prometheus' text as name → [{labels, value}].
export async function metricsOf(port) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const out = new Map();
    for (const line of text.split('\n')) {
        const found = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
        if (!found) continue;
        const labels = Object.fromEntries(
            [...(found[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map((one) => [one[1], one[2]]),
        );
        if (!out.has(found[1])) out.set(found[1], []);
        out.get(found[1]).push({ labels, value: Number(found[3]) });
    }
    return out;
}

/// The sum of a metric over all lines that have these labels.
export function total(metrics, name, labels = {}) {
    const wanted = Object.entries(labels);
    return (metrics.get(name) ?? [])
        .filter((line) => wanted.every(([key, value]) => line.labels[key] === value))
        .reduce((sum, line) => sum + line.value, 0);
}
