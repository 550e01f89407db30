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
            .map(([one, other]) => one[field] / other[field]),
    );
}

/// What the parts of mixed traffic would take, one after the other, each at its own limit of this
/// round: 1 / sum(share / rate). Orders have as many lines as the mix's have; PostgreSQL's limits
/// for 2 and for 20 are in the run, embedded it is that of an order until it is paid.
function partsRate(all, stack, { round, shares }) {
    const rateOf = (workload) => {
        const who = limitOf(
            rows.find((row) => row.name === workload),
            stack,
        );
        return of(all, { workload, stack, loop: 'closed', round, who })[0]?.rate;
    };
    const ofLines = () => {
        const [few, many] = [1 / rateOf('order-2'), 1 / rateOf('order-20')];
        return few + ((many - few) * (shares.lines - 2)) / (20 - 2);
    };
    const embedded = stack === 'embedded';
    const order = embedded ? 1 / rateOf('paid') : ofLines();
    const cached = 1 / rateOf('detail-cached');
    const page = embedded ? cached : 1 / rateOf('list');
    return 1 / (shares.cached * cached + shares.page * page + shares.order * order);
}

/// The limit's measurements beside `mine`; of mixed traffic in the closed loop, what its parts make.
function limitsBeside(all, row, stack, loop, mine) {
    if (row.parts && loop === 'closed')
        return mine
            .map((one) => ({ round: one.round, rate: partsRate(all, stack, one) }))
            .filter((one) => Number.isFinite(one.rate));
    const who = limitOf(row, stack);
    return who ? of(all, { workload: row.name, stack, loop, who }) : [];
}

/// What was measured of a row in one of the loops, and beside it; `field` is compared.
function measured(all, row, stack, loop, field) {
    const mine = of(all, { workload: row.name, stack, loop, who: 'souk' });
    if (mine.length === 0) return undefined;
    const beside = limitsBeside(all, row, stack, loop, mine);
    const cannot = beside.find((one) => one.cannot);
    const theirs = beside.filter((one) => !one.cannot);
    const found = {
        workload: row.name,
        title: row.title,
        stack,
        limit: limitOf(row, stack),
        [field]: spread(mine.map((one) => one[field])),
        [`limit_${field}`]: spread(theirs.map((one) => one[field])),
        ratio: ratios(mine, theirs, field),
    };
    return { mine, cannot, found };
}

const told = ['p50_us', 'p99_us', 'cpu_us', 'servers_cpu_us', 'pss_mib', 'read_part', 'reader_cpu_us'];

function closedRow(all, row, stack) {
    const { mine, found } = measured(all, row, stack, 'closed', 'rate') ?? {};
    if (!found) return undefined;
    const [nginx] = of(all, { workload: row.name, stack, loop: 'closed', who: 'nginx' });
    const figures = mine.map((one) => Object.fromEntries(told.map((name) => [name, one[name]])));
    return { ...found, node: row.node, ...medians(figures), nginx_rate: nginx?.rate };
}

function openRow(all, row, stack) {
    const { mine, found, cannot } = measured(all, row, stack, 'open', 'p99_us') ?? {};
    if (!found) return undefined;
    return {
        ...found,
        at_rate: mine[0].at_rate,
        rate: spread(mine.map((one) => one.rate)),
        limit_peak: cannot?.peak,
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
const atMost = (name, range, target, more = {}) => ({
    name,
    ratio: range.median,
    range,
    target,
    held: range.median <= target,
    at_most: true,
    ...more,
});
const single = (value) => ({ median: value, min: value, max: value, rounds: 1 });

// What a limit asks of the closed loop: [target, stretch].
const askedOf = (row, stack) =>
    row.target && row.targetOn.includes(stack) ? [row.target] : (row.targets?.[stack] ?? []);

const closedName = (row, stack) => `${row.title}, ${stack}, of ${limitOf(row, stack)}`;
const openName = (row, stack) => `p99 at 60%: ${closedName(row, stack)}`;

function closedTargets(row, one) {
    const label = { about: one.title, stack: one.stack };
    const name = closedName(row, one.stack);
    const [target, stretch] = askedOf(row, one.stack);
    if (!one.ratio || !target) return [];
    const out = [atLeast(name, one.ratio, target, label)];
    const more = { ...label, about: `${one.title} (stretch)`, stretch: true };
    if (stretch) out.push(atLeast(`${name} (stretch)`, one.ratio, stretch, more));
    return out;
}

/// Targets of workloads that this run was to measure and that have no ratio, and why.
function unmeasured(summary, { stacks, only, missing }) {
    const why = (row, stack) => {
        const about = missing.find(
            ({ what }) => what.includes(row.title) && what.includes(stack),
        );
        return about ? about.why : 'it, or its limit, could not be measured';
    };
    const out = [];
    for (const stack of stacks)
        for (const row of rows.filter((one) => only.test(one.name))) {
            const found = (list) =>
                list.find((one) => one.workload === row.name && one.stack === stack);
            const add = (name, target, more) => out.push({ name, stack, target, ...more });
            const [target] = askedOf(row, stack);
            if (target && !found(summary.closed)?.ratio)
                add(closedName(row, stack), target, { about: row.title, why: why(row, stack) });
            const open = found(summary.open);
            if (row.requests && limitOf(row, stack) && !open?.ratio)
                add(openName(row, stack), p99Target, {
                    about: `p99: ${row.title}`,
                    at_most: true,
                    why: open?.limit_peak
                        ? `${open.limit} does ${Math.round(open.limit_peak)}/s at its best, ` +
                          `${Math.round(open.at_rate)}/s were asked`
                        : why(row, stack),
                });
        }
    return out;
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
                { about: 'detail through the gateway (TLS), of whole', stack: 'split' },
            ),
        );
    for (const one of summary.open.filter((one) => one.ratio))
        out.push(
            atMost(
                openName(
                    rows.find((row) => row.name === one.workload),
                    one.stack,
                ),
                one.ratio,
                p99Target,
                { about: `p99: ${one.title}`, stack: one.stack },
            ),
        );
    for (const { stack, hashing, mib } of summary.memory) {
        const allowed = memoryTarget[stack] + (hashing ? hashMemory * cores : 0);
        const more = hashing ? `, ${cores} passwords being hashed` : '';
        out.push(
            atMost(`memory under load, ${stack}${more}`, single(mib), allowed, {
                unit: 'MiB',
                about: `memory under load${more}`,
                stack,
            }),
        );
    }
    if (summary.start_ms)
        out.push(
            atMost('start to first 200, embedded with data', summary.start_ms, startTarget, {
                unit: 'ms',
                about: 'start to first 200, with data',
                stack: 'embedded',
            }),
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
        unmeasured: unmeasured(summary, {
            stacks: options.stacks,
            only: new RegExp(options.only),
            missing,
        }),
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
