// The HTTP workloads on one stack: closed loops interleaved with their limits, then open loops at
// 60% of the peak.
import { sql } from './limits/pgbench.mjs';
import { servicesOf } from './limits/postgres.mjs';
import { ask } from './data.mjs';
import { loadShop, writeRequests } from './load.mjs';
import { bareBeast, nginx, record } from './limits.mjs';
import { cpuByThread } from './observe.mjs';
import { Fault, sleep } from './sandbox.mjs';
import { median } from './statistics.mjs';
import { limitOf, workloads } from './workloads.mjs';

export const openPart = 0.6;
// So many requests, or so long, for a p99 at a slow rate.
const openRequests = 500;
const openLimitSeconds = 8;
// What the cache keeps is forgotten after 1 s, ±10%.
const keptSeconds = 1.2;
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
    context.measurements.push({ ...measurement, ...result });
    return result;
}

// --- which workloads, with what ---

/// Bare Beast and nginx answer the bytes that this shop answered a moment ago.
async function limitsFor(context, stack, workload, lines) {
    const { shop } = stack;
    const wanted = limitOf(workload, shop.name);
    const out = [];
    // Mixed traffic has answers of all kinds: that of most requests stands for them.
    const asked =
        workload.name === 'mixed' ? { path: `/api/products/${stack.data.products[0]}` } : lines[0];
    const answer = wanted === 'bare Beast' ? await record(shop.url, asked) : undefined;
    const label = `${shop.name}-${workload.name}`;
    if (answer) out.push(await bareBeast(context, label, answer));
    else if (wanted) out.push(await stack.limit(wanted));
    if (answer && workload.nginx && stack.orientation)
        await attempt(context, `nginx for ${workload.title}`, async () =>
            out.push(await nginx(context, label, answer)),
        );
    return out;
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

/// How often the table of products was looked at; the connection of all reads is asked first, since
/// it reports its counts once a second, when it has something to do.
async function looks(stack) {
    await sleep(1100);
    await ask(stack.shop, 'GET', `/api/products?limit=20&cursor=${stack.data.cursors[0]}`);
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
    result.read_part = ((await looks(stack)) - before - 1) / result.total;
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
    if (workload.orders) await stack.shop.settled();
    return result;
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
            if (limit.name === 'nginx' && round > 0) continue;
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
    if (median(job.limitRates) * 0.95 < rate) return { cannot: true };
    return limit.run(optionsOf(context, job, { rate, seconds }));
}

async function openRound(context, stack, jobs, round) {
    for (const job of jobs) {
        const rate = median(job.rates) * openPart;
        const seconds = Math.max(context.seconds, Math.min(openLimitSeconds, openRequests / rate));
        if (round > 0 && job.workload.slow) continue;
        const about = {
            workload: job.workload.name,
            stack: stack.shop.name,
            loop: 'open',
            round,
            at_rate: rate,
        };
        context.step(`at ${Math.round(rate)}/s: ${job.what}`);
        await attempt(context, `${job.what} at ${Math.round(rate)}/s`, async () =>
            keep(
                context,
                { ...about, who: 'souk' },
                await ours(context, stack, job, { rate, seconds }),
            ),
        );
        const limit = job.limits.find((one) => one.name !== 'nginx');
        if (!limit) continue;
        await attempt(context, `${limit.name} at ${Math.round(rate)}/s`, async () =>
            keep(
                context,
                { ...about, who: limit.name },
                await limitAt(context, job, limit, rate, seconds),
            ),
        );
    }
}

/// `stack`: {shop, servers, data, limit(name), orientation}
export async function measureHttp(context, stack) {
    let jobs = [];
    for (const workload of workloads.filter((one) => context.wanted(one.name)))
        jobs.push(await prepare(context, stack, workload));
    for (let round = 0; round < context.rounds; ++round)
        jobs = await closedRound(context, stack, jobs, round);
    for (let round = 0; round < context.openRounds; ++round)
        await openRound(context, stack, jobs, round);
    for (const limit of jobs.flatMap((job) => job.limits)) await limit.end?.();
}
