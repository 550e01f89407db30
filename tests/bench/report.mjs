// From measurements to rows, targets and text.
import { edgeRequests, edgeWays } from './edge.mjs';
import { medians, spread } from './statistics.mjs';
import { limitOf, nodeStack, workloads } from './workloads.mjs';

const whole = ['embedded', 'servers'];
// Workloads over HTTP, and those of trade.mjs.
const rows = [
    ...workloads,
    {
        name: 'paid',
        title: 'orders until paid',
        limit: {
            embedded: 'SQLite commits',
            servers: 'pgbench saga, 2 lines',
            split: 'pgbench saga, 2 lines',
        },
        targets: { embedded: [0.4, 0.6], servers: [0.6, 1.0] },
        node: 'paid',
    },
    { name: 'replay', title: 'replay' },
];

const memoryTarget = { embedded: 48, servers: 48, split: 110 };
const hashMemory = 20;
const p99Target = 2;
const startTarget = 100;
const splitTarget = 0.45;

const of = (all, wanted) =>
    all.filter((one) => Object.entries(wanted).every(([key, value]) => one[key] === value));

/// Ratios round by round, since what else the machine does meets both of a round alike.
function ratios(ours, theirs, field) {
    const pairs = ours.map((one) => [one, theirs.find((other) => other.round === one.round)]);
    return spread(
        pairs
            .filter(([, other]) => other)
            .map(([one, other]) => (other.cannot ? 0 : one[field] / other[field])),
    );
}

function closedRow(all, row, stack) {
    const mine = of(all, { workload: row.name, stack, loop: 'closed', who: 'souk' });
    if (mine.length === 0) return undefined;
    const limit = limitOf(row, stack);
    const theirs = limit ? of(all, { workload: row.name, stack, loop: 'closed', who: limit }) : [];
    const nginx = of(all, { workload: row.name, stack, loop: 'closed', who: 'nginx' });
    return {
        workload: row.name,
        title: row.title,
        stack,
        limit,
        node: row.node,
        rate: spread(mine.map((one) => one.rate)),
        ...medians(
            mine.map(
                ({
                    p50_us,
                    p99_us,
                    cpu_us,
                    servers_cpu_us,
                    pss_mib,
                    read_part,
                    reader_cpu_us,
                }) => ({
                    p50_us,
                    p99_us,
                    cpu_us,
                    servers_cpu_us,
                    pss_mib,
                    read_part,
                    reader_cpu_us,
                }),
            ),
        ),
        limit_rate: spread(theirs.map((one) => one.rate)),
        ratio: ratios(mine, theirs, 'rate'),
        nginx_rate: nginx[0]?.rate,
    };
}

function openRow(all, row, stack) {
    const mine = of(all, { workload: row.name, stack, loop: 'open', who: 'souk' });
    if (mine.length === 0) return undefined;
    const limit = limitOf(row, stack);
    const theirs = limit ? of(all, { workload: row.name, stack, loop: 'open', who: limit }) : [];
    return {
        workload: row.name,
        title: row.title,
        stack,
        limit,
        at_rate: mine[0].at_rate,
        p99_us: spread(mine.map((one) => one.p99_us)),
        limit_p99_us: spread(theirs.map((one) => one.p99_us)),
        limit_cannot: theirs.some((one) => one.cannot),
        ratio: ratios(mine, theirs, 'p99_us'),
    };
}

function splitRow(all) {
    const way = (name) => of(all, { workload: 'edge-product', stack: name, loop: 'closed' });
    return ratios(way('gateway-tls'), way('whole'), 'rate');
}

/// The most of all workloads, hashing and not.
function memoryRows(all) {
    const out = [];
    for (const stack of ['embedded', 'servers', 'split']) {
        const mine = of(all, { stack, who: 'souk' }).filter((one) => one.pss_mib > 0);
        const most = (list) => Math.max(...list.map((one) => one.pss_mib));
        const plain = mine.filter((one) => one.workload !== 'login');
        const hashing = mine.filter((one) => one.workload === 'login');
        if (plain.length > 0) out.push({ stack, hashing: false, mib: most(plain) });
        if (hashing.length > 0) out.push({ stack, hashing: true, mib: most(hashing) });
    }
    return out;
}

// --- targets: {name, ratio, target, held}; `at_most` where less is better ---

const atLeast = (name, range, target, more = {}) => ({
    name,
    ratio: range.median,
    range,
    target,
    held: range.median >= target,
    ...more,
});
const atMost = (name, range, target, unit) => ({
    name,
    ratio: range.median,
    range,
    target,
    held: range.median <= target,
    at_most: true,
    ...(unit && { unit }),
});
const single = (value) => ({ median: value, min: value, max: value, rounds: 1 });

function closedTargets(row, one) {
    const name = `${one.title}, ${one.stack}, of ${one.limit}`;
    if (!one.ratio) return [];
    if (row.target && row.targetOn.includes(one.stack))
        return [atLeast(name, one.ratio, row.target)];
    const [target, stretch] = row.targets?.[one.stack] ?? [];
    return target
        ? [
              atLeast(name, one.ratio, target),
              atLeast(`${name} (stretch)`, one.ratio, stretch, { stretch: true }),
          ]
        : [];
}

function targetsOf(summary, cores) {
    const out = summary.closed.flatMap((one) =>
        closedTargets(
            rows.find((row) => row.name === one.workload),
            one,
        ),
    );
    if (summary.split_of_whole)
        out.push(
            atLeast(
                'split of whole, detail through the gateway (TLS)',
                summary.split_of_whole,
                splitTarget,
            ),
        );
    for (const one of summary.open)
        if (one.ratio)
            out.push(
                atMost(
                    `p99 at 60%: ${one.title}, ${one.stack}, of ${one.limit}`,
                    one.ratio,
                    p99Target,
                ),
            );
    for (const { stack, hashing, mib } of summary.memory) {
        const allowed = memoryTarget[stack] + (hashing ? hashMemory * cores : 0);
        out.push(
            atMost(
                `memory under load, ${stack}${hashing ? `, ${cores} passwords being hashed` : ''}`,
                single(mib),
                allowed,
                'MiB',
            ),
        );
    }
    if (summary.start_ms)
        out.push(
            atMost('start to first 200, embedded with data', summary.start_ms, startTarget, 'ms'),
        );
    return out;
}

function nodeRows(closed) {
    return nodeStack.rows.flatMap(({ row, rate, multiple }) =>
        closed
            .filter((one) => one.node === row && whole.includes(one.stack))
            .map((one) => ({
                workload: one.title,
                stack: one.stack,
                node_rate: rate,
                multiple: one.rate.median / rate,
                asked: multiple,
                held: one.rate.median >= multiple * rate,
            })),
    );
}

/// Everything that a run has found, as results.json has it.
export function summarize(run) {
    const { measurements: all } = run;
    const stacks = ['embedded', 'servers', 'split'];
    const each = (make) =>
        stacks.flatMap((stack) => rows.map((row) => make(all, row, stack))).filter(Boolean);
    const summary = {
        closed: each(closedRow),
        open: each(openRow),
        split_of_whole: splitRow(all),
        memory: memoryRows(all),
        start_ms: run.startTimes && spread(run.startTimes),
        binary: run.binary,
    };
    const targets = targetsOf(summary, run.machine.cores);
    const edge = edgeSummary(all);
    const { souk, machine, options, missing, notes, seconds } = run;
    return {
        souk,
        machine,
        options,
        seconds,
        targets,
        missing,
        notes,
        summary,
        edge,
        node: { source: nodeStack.source, of_this_run: false, rows: nodeRows(summary.closed) },
        measurements: all,
    };
}

function edgeSummary(all) {
    const out = [];
    for (const request of edgeRequests)
        for (const loop of ['closed', 'open']) {
            const ways = {};
            for (const way of edgeWays) {
                const mine = of(all, { workload: `edge-${request}`, stack: way, loop });
                const base = of(all, { workload: `edge-${request}`, stack: 'whole', loop });
                if (mine.length === 0 || base.length === 0) continue;
                const field = loop === 'closed' ? 'rate' : 'p50_us';
                ways[way] = {
                    ...medians(
                        mine.map(({ rate, p50_us, p99_us, cpu_us }) => ({
                            rate,
                            p50_us,
                            p99_us,
                            cpu_us,
                        })),
                    ),
                    of_whole: ratios(mine, base, field),
                };
            }
            if (Object.keys(ways).length > 0) out.push({ request, loop, ways });
        }
    return out;
}
