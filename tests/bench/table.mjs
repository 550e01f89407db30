// results.json for people.
import { busyConnections, calmRate } from './edge.mjs';

const count = (value) => (value === undefined ? '' : Math.round(value).toLocaleString('en'));
const short = (value) =>
    value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(2);
const between = (range) => (range.rounds > 1 ? `(${short(range.min)}-${short(range.max)})` : '');
const ranged = (range) => (range ? `${short(range.median)} ${between(range)}`.trim() : '');
const us = (value) =>
    value === undefined
        ? ''
        : value < 1000
          ? `${value.toFixed(0)} µs`
          : `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} ms`;
const summed = (parts) =>
    parts ? Object.values(parts).reduce((sum, one) => sum + one, 0) : undefined;

/// Columns as wide as they must be; the first ones, `lefts` of them, to the left.
function table(head, rows, lefts = 1) {
    const all = [head, ...rows].map((row) => row.map(String));
    const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
    const line = (row) =>
        row
            .map((cell, i) => (i < lefts ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
            .join('  ')
            .trimEnd();
    return all.map((row) => `  ${line(row)}`).join('\n');
}

/// Rows under the name of their stack, which is told once; `cells` are a row's after its title.
function byStack(head, all, cells) {
    const rows = [];
    for (const stack of new Set(all.map((one) => one.stack))) {
        rows.push([stack, ...head.slice(1).map(() => '')]);
        for (const one of all.filter((one) => one.stack === stack))
            rows.push([`  ${one.title ?? one.about}`, ...cells(one)]);
    }
    return table(head, rows);
}

// 'pgbench order, 2 lines': how many stands in the row's title.
const limitName = (one) => one.limit?.split(',')[0] ?? '';

function closedTable(closed) {
    const head = [
        'peak, requests/s',
        'souk',
        'limit',
        'limit is',
        'ratio (range)',
        'p50',
        'p99',
        'CPU',
        'servers',
        'MiB',
    ];
    const text = byStack(head, closed, (one) => [
        count(one.rate.median),
        count(one.limit_rate?.median),
        limitName(one),
        ranged(one.ratio),
        us(one.p50_us),
        us(one.p99_us),
        us(summed(one.cpu_us)),
        us(summed(one.servers_cpu_us)),
        one.pss_mib ? one.pss_mib.toFixed(0) : '',
    ]);
    const nginx = closed
        .filter((one) => one.nginx_rate)
        .map((one) => `${one.title} ${count(one.nginx_rate)}`);
    return nginx.length > 0 ? `${text}\n  nginx, the same bytes from a file: ${nginx.join('; ')}` : text;
}

function openTable(open) {
    const head = ['p99 at 60% of it', 'asked/s', 'done/s', 'souk', 'limit', 'limit is', 'ratio (range)'];
    return byStack(head, open, (one) => [
        count(one.at_rate),
        count(one.rate.median),
        us(one.p99_us.median),
        one.limit_peak ? 'cannot' : us(one.limit_p99_us?.median),
        limitName(one) || 'none',
        ranged(one.ratio),
    ]);
}

function targetTable(targets, unmeasured) {
    const head = ['target', 'asked', 'found', '(range)', ''];
    const asked = (one) => `${one.at_most ? '<=' : '>='} ${one.target}`;
    const known = targets.map((one) => ({
        ...one,
        cells: [
            asked(one),
            `${short(one.ratio)}${one.unit ? ` ${one.unit}` : ''}`,
            between(one.range),
            one.held ? 'held' : one.stretch ? 'not reached' : 'MISSED',
        ],
    }));
    const unknown = unmeasured.map((one) => ({ ...one, cells: [asked(one), '', '', 'not measured'] }));
    const reasons = unmeasured.map((one) => `  not measured: ${one.about}, ${one.stack}:\n    ${one.why}`);
    return [byStack(head, [...known, ...unknown], (one) => one.cells), ...reasons].join('\n');
}

function edgeTable(edge) {
    return edge
        .map(({ request, loop, ways }) => {
            const closed = loop === 'closed';
            const head = [
                `GET ${request}, ${closed ? `${busyConnections} connections` : `${calmRate}/s`}`,
                closed ? 'requests/s' : 'p50',
                'of whole',
                'p99',
                'CPU',
                'by process',
            ];
            return table(
                head,
                Object.entries(ways).map(([way, one]) => [
                    way,
                    closed ? count(one.rate) : us(one.p50_us),
                    ranged(one.of_whole),
                    us(one.p99_us),
                    us(summed(one.cpu_us)),
                    Object.entries(one.cpu_us)
                        .map(([role, value]) => `${role} ${value.toFixed(0)}`)
                        .join(' + '),
                ]),
            );
        })
        .join('\n\n');
}

function nodeTable(node) {
    const head = ['orientation, not of this run', 'stack', 'Node', 'souk is', 'asked'];
    return `${table(
        head,
        node.rows.map((one) => [
            one.workload,
            one.stack,
            `${count(one.node_rate)}/s`,
            `${one.multiple.toFixed(1)} x`,
            `${one.asked} x${one.held ? '' : ' MISSED'}`,
        ]),
        2,
    )}\n  Node: ${node.source}`;
}

function footprint({ start_ms, binary }) {
    const lines = [];
    if (start_ms) lines.push(`  start to first 200, embedded with data: ${ranged(start_ms)} ms`);
    if (binary)
        lines.push(
            `  binary: ${(binary.built_bytes / 2 ** 20).toFixed(1)} MiB, stripped ${(binary.stripped_bytes / 2 ** 20).toFixed(1)} MiB`,
        );
    return lines.join('\n');
}

function headOf({ souk, machine, options, seconds }) {
    const { rounds, seconds: each } = options;
    return [
        `souk ${souk}; ${machine.cpu}, ${machine.cores} cores shared with the load; ` +
            `${rounds} rounds of ${each} s; took ${(seconds / 60).toFixed(1)} min.`,
        'A ratio is made within a round, to the limit measured beside it there; shown are medians (range of',
        "the rounds). CPU is a request's: of all of the shop's processes, and of the servers'. MiB is the PSS of",
        "the shop's processes. p99 counts from when a request was due; what was asked and not done is a queue.",
    ].join('\n');
}

function countOf(targets, unmeasured) {
    const number = (wanted) => targets.filter(wanted).length;
    const missed = number((one) => !one.held && !one.stretch);
    const stretches = number((one) => !one.held && one.stretch);
    const held = number((one) => one.held);
    const more = [
        stretches && `${stretches} stretches not reached`,
        unmeasured.length > 0 && `${unmeasured.length} not measured`,
    ].filter(Boolean);
    return [`${held} held, ${missed} missed`, ...more].join(', ');
}

export function asText(results) {
    const { summary, targets, unmeasured, missing, notes } = results;
    const parts = [headOf(results)];
    if (summary.closed.length > 0) parts.push(closedTable(summary.closed));
    if (summary.open.length > 0) parts.push(openTable(summary.open));
    if (results.edge.length > 0)
        parts.push(`What the edge and the split cost\n${edgeTable(results.edge)}`);
    const foot = footprint(summary);
    if (foot) parts.push(foot);
    if (results.node.rows.length > 0) parts.push(nodeTable(results.node));
    if (targets.length + unmeasured.length > 0)
        parts.push(`${targetTable(targets, unmeasured)}\n  ${countOf(targets, unmeasured)}`);
    for (const note of notes) parts.push(`note: ${note}`);
    for (const { what, why } of missing) parts.push(`NOT MEASURED: ${what}: ${why}`);
    return parts.join('\n\n');
}
