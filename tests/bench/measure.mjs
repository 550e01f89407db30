// The HTTP workloads on one stack: closed loops interleaved with their limits, then open loops at
// 60% of the peak; reads and sign-ins first, since what orders leave behind is worked at for long.
import { sql } from './limits/pgbench.mjs';
import { servicesOf } from './limits/postgres.mjs';
import { ask } from './data.mjs';
import { loadShop, writeRequests } from './load.mjs';
import { bareBeast, mixOf, nginx, record } from './limits.mjs';
import { cpuByThread } from './observe.mjs';
import { Fault, sleep } from './sandbox.mjs';
import { median } from './statistics.mjs';
import { limitOf, sharesOf, workloads } from './workloads.mjs';

export const openPart = 0.6;
// A round of the open loop is shorter than one of the closed, for there are more of them, but has
// enough requests for a p99; where that takes long, there are fewer.
const openShare = 0.6;
const openRequests = 250;
const openLimitSeconds = 4;
const slowRounds = 3;
const openWarm = 0.2;
// Before orders are measured: nothing of what runs takes more than a tenth of a core.
const calmMs = 150;
const calmPart = 0.1;
const calmLimitMs = 5000;
// What the cache keeps is forgotten after 1 s, ±10%.
export const keptSeconds = 1.2;
const warmSeconds = 0.3;
// µs a request: a product read takes 11, one from the cache 0.05.
const leastReaderCpu = 3;
const mostIdleReaderCpu = 0.5;

/// Runs `body`; a Fault is told at the end, and everything else goes on.
export async function attempt(context, what, body) {
    try {
        return await body();
    } catch (error) {
        if (context.sandbox.ending) await new Promise(() => {}); // stopped: who does that ends us
        if (!(error instanceof Fault)) error.message = `${error.message}\n${error.stack}`;
        context.missing.push({ what, why: error.message });
        context.say(`${what} could not be measured: ${error.message}`);
        return undefined;
    }
}

export function keep(context, measurement, result) {
    if (!result.cannot && !(result.rate > 0))
        throw new Fault(`${measurement.who} told no rate: ${JSON.stringify(result)}`);
    const { quantiles_us: _, ...kept } = result;
    context.measurements.push({ ...measurement, ...kept });
    return result;
}

// --- which workloads, with what ---

/// Bare Beast and nginx answer the bytes that this shop answered a moment ago.
async function limitsFor(context, stack, workload, lines) {
    const { shop } = stack;
    const wanted = limitOf(workload, shop.name);
    const label = `${shop.name}-${workload.name}`;
    if (workload.parts) return [await partsOf(context, stack, workload, lines, label)];
    const out = [];
    const answer = wanted === 'bare Beast' ? await record(shop.url, lines[0]) : undefined;
    if (answer) out.push(await bareBeast(context, label, answer));
    else if (wanted) out.push(await stack.limit(wanted));
    if (answer && workload.nginx && stack.orientation)
        await attempt(context, `nginx for ${workload.title}`, async () =>
            out.push(await nginx(context, label, answer)),
        );
    return out;
}

/// The limits of its parts, each at its share of the rate, all at the same time. Those that bare
/// Beast stands for are one: the answer of most requests.
async function partsOf(context, stack, workload, lines, label) {
    const shares = sharesOf(lines);
    const names = workload.parts[stack.shop.name];
    const answer = await record(stack.shop.url, {
        path: `/api/products/${stack.data.products[0]}`,
    });
    const byLimit = new Map();
    for (const [part, name] of Object.entries(names))
        byLimit.set(name, (byLimit.get(name) ?? 0) + shares[part]);
    const parts = [];
    for (const [name, share] of byLimit) {
        const beast = name === 'bare Beast';
        const limit = beast ? await bareBeast(context, label, answer) : await stack.limit(name);
        parts.push({ share, limit });
    }
    return mixOf(parts);
}

async function prepare(context, stack, workload) {
    const lines = workload.requests(stack.data);
    const what = `${workload.title} on ${stack.shop.name}`;
    const limits = await attempt(context, `the limit of ${what}`, () =>
        limitsFor(context, stack, workload, lines),
    );
    return {
        workload,
        what,
        limits: limits ?? [],
        limitRates: [],
        file: writeRequests(context.sandbox, `${stack.shop.name}-${workload.name}`, lines),
        distinct: lines.length,
        about: workload.parts && { shares: sharesOf(lines) },
        rates: [],
    };
}

function optionsOf(context, job, more = {}) {
    const { connections, expect } = job.workload;
    return {
        requests: job.file,
        connections,
        expect,
        seconds: context.seconds,
        warm: warmSeconds,
        ...more,
    };
}

// --- is it the cache that answers, or the database? ---

// Enough for each thread, with a connection of its own to PostgreSQL, to get some.
const nudges = 32;

/// How often the table of products was looked at. The connections of reads are asked first, all at
/// once, since each reports its counts once a second, when it has something to do.
async function looks(stack) {
    await sleep(1100);
    const pages = stack.data.cursors.slice(0, nudges);
    await Promise.all(
        pages.map((cursor) => ask(stack.shop, 'GET', `/api/products?limit=20&cursor=${cursor}`)),
    );
    const rows = await sql(
        servicesOf({ SOUK_POSTGRES_ADMIN_URL: stack.servers.admin }),
        'souk_product',
        "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'products';",
    );
    return Number(rows[0][0]);
}

/// What part of the requests reached the database.
async function missesOn(stack, measure) {
    const before = await looks(stack);
    const result = await measure();
    result.read_part = ((await looks(stack)) - before - nudges) / result.total;
    return result;
}

/// Embedded: what the thread that reads the products ran a request, µs.
async function readerCpu(stack, measure) {
    const pid = stack.shop.pids[0];
    const of = () =>
        Object.entries(cpuByThread(pid))
            .filter(([name]) => /read/.test(name))
            .reduce((sum, [, us]) => sum + us, 0);
    const before = of();
    const result = await measure();
    result.reader_cpu_us = (of() - before) / result.total;
    return result;
}

function judgeMisses({ workload, what, distinct }, result) {
    if (workload.misses && workload.name === 'detail' && distinct / result.rate < keptSeconds)
        throw new Fault(
            `${what}: ${distinct} products are asked for again within ${keptSeconds} s: more are needed`,
        );
    const part = result.read_part;
    if (part !== undefined && workload.misses && part < 0.99)
        throw new Fault(
            `${what}: only ${(part * 100).toFixed(1)}% of the requests reached the database`,
        );
    if (part !== undefined && !workload.misses && part > 0.02)
        throw new Fault(
            `${what}: ${(part * 100).toFixed(1)}% of the requests reached the database`,
        );
    const read = result.reader_cpu_us;
    if (read !== undefined && (workload.misses ? read < leastReaderCpu : read > mostIdleReaderCpu))
        throw new Fault(
            `${what}: the threads that read SQLite ran ${read.toFixed(2)} µs a request`,
        );
}

// --- the loops ---

/// Waits until nothing is left to do of what was measured before, or not much longer.
async function calm({ shop, servers }) {
    const used = () =>
        [...Object.values(shop.cpu()), ...Object.values(servers?.cpu() ?? {})].reduce(
            (sum, one) => sum + one,
            0,
        );
    for (const end = Date.now() + calmLimitMs; Date.now() < end; ) {
        const before = used();
        await sleep(calmMs);
        if (used() - before < calmPart * calmMs * 1000) return;
    }
}

async function ours(context, stack, job, more) {
    const { workload } = job;
    const measure = () =>
        loadShop(
            context.sandbox,
            context.tool('bench_load'),
            stack.shop,
            stack.servers,
            optionsOf(context, job, more),
        );
    const verified = workload.misses !== undefined && job.rates.length === 0;
    const how = stack.servers ? missesOn : readerCpu;
    const result = verified ? await how(stack, measure) : await measure();
    if (workload.misses !== undefined) judgeMisses(job, result);
    if (workload.orders) {
        await stack.shop.settled();
        await calm(stack);
    }
    return { ...result, ...job.about };
}

async function closedRound(context, stack, jobs, round) {
    for (const job of jobs) {
        const about = {
            workload: job.workload.name,
            stack: stack.shop.name,
            loop: 'closed',
            round,
        };
        context.step(`round ${round + 1}: ${job.what}`);
        const done = await attempt(context, job.what, async () => {
            const result = keep(
                context,
                { ...about, who: 'souk' },
                await ours(context, stack, job),
            );
            job.rates.push(result.rate);
            return result;
        });
        if (!done) {
            job.failed = true;
            continue;
        }
        for (const limit of job.limits) {
            if (limit.openOnly || (limit.name === 'nginx' && round > 0)) continue;
            await attempt(context, `${limit.name} beside ${job.what}`, async () =>
                keep(
                    context,
                    { ...about, who: limit.name },
                    await limit.run(optionsOf(context, job)),
                ),
            ).then(
                (result) =>
                    limit.name === 'nginx' || job.limitRates.push(result?.rate ?? Number.NaN),
            );
        }
    }
    return jobs.filter((job) => !job.failed);
}

/// A limit that is slower than ours has no p99 at this rate: its queue would grow until the end.
async function limitAt(context, job, limit, rate, seconds) {
    const peak = median(job.limitRates);
    if (peak * 0.95 < rate) return { cannot: true, peak };
    return limit.run(optionsOf(context, job, { rate, seconds, warm: openWarm }));
}

/// How fast, how long and how often: the peak of all rounds is known by now.
function openPlan(context, job) {
    const rate = median(job.rates) * openPart;
    const least = context.seconds * openShare;
    const seconds = Math.max(least, Math.min(openLimitSeconds, openRequests / rate));
    const most = seconds > 1 ? slowRounds : context.openRounds;
    return { rate, seconds, rounds: Math.min(most, context.openRounds) };
}

async function openRound(context, stack, job, round) {
    const { rate, seconds } = openPlan(context, job);
    const at = `at ${Math.round(rate)}/s`;
    const about = {
        workload: job.workload.name,
        stack: stack.shop.name,
        loop: 'open',
        round,
        at_rate: rate,
    };
    context.step(`round ${round + 1}: ${job.what} ${at}`);
    const limit = job.limits.find((one) => one.name !== 'nginx');
    const sides = [
        ['souk', () => ours(context, stack, job, { rate, seconds, warm: openWarm })],
        ...(limit ? [[limit.name, () => limitAt(context, job, limit, rate, seconds)]] : []),
    ];
    // In turn the other one first, so that what one leaves behind does not always meet the same.
    for (const [who, run] of round % 2 === 0 ? sides : sides.reverse())
        await attempt(context, `${who} ${at}, ${job.what}`, async () =>
            keep(context, { ...about, who }, await run()),
        );
}

/// `stack`: {shop, servers, data, limit(name), orientation}
export async function measureHttp(context, stack) {
    const wanted = workloads.filter((one) => context.wanted(one.name));
    for (const orders of [false, true]) {
        let jobs = [];
        for (const workload of wanted.filter((one) => Boolean(one.orders) === orders))
            jobs.push(await prepare(context, stack, workload));
        for (let round = 0; round < context.rounds; ++round)
            jobs = await closedRound(context, stack, jobs, round);
        for (let round = 0; round < context.openRounds; ++round)
            for (const job of jobs)
                if (round < openPlan(context, job).rounds)
                    await openRound(context, stack, job, round);
        for (const limit of jobs.flatMap((job) => job.limits)) await limit.end?.();
    }
}
