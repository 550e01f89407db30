// Orders until they are paid, and a data set's trade by `souk replay`.
import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

import { load, writeRequests } from './load.mjs';
import { attempt, keep } from './measure.mjs';
import { Fault, sleep } from './sandbox.mjs';
import { orders } from './workloads.mjs';

const pollMs = 50;
const dataSet = '../shared/data/online-retail/online-retail-2010-12_2011-05.csv.gz';

/// Seconds from the first request until all are paid; embedded, until all mails are written as
/// well.
async function untilPaid(context, stack, file, count) {
    const { shop } = stack;
    await shop.settled();
    const before = await shop.progress();
    const cpuBefore = shop.cpu();
    const serversBefore = stack.servers?.cpu();
    const start = performance.now();
    let answered;
    const loading = load(context.sandbox, context.tool('bench_load'), {
        url: shop.url,
        requests: file,
        expect: '201',
        count,
    }).then((result) => (answered = result));
    const out = {};
    const seconds = () => (performance.now() - start) / 1000;
    while (out.paid_s === undefined || out.mailed_s === undefined) {
        await Promise.race([sleep(pollMs), loading]);
        const now = await shop.progress();
        if (now.paid - before.paid >= count) out.paid_s ??= seconds();
        if (now.mailed - before.mailed >= count) out.mailed_s ??= seconds();
        if (answered) await sleep(pollMs / 2);
        if (seconds() > 120) throw new Fault(`${count} orders: not all paid after 120 s`);
    }
    await loading;
    const each = (after, base) =>
        Object.fromEntries(
            Object.entries(after).map(([name, us]) => [name, (us - base[name]) / count]),
        );
    out.cpu_us = each(shop.cpu(), cpuBefore);
    if (serversBefore) out.servers_cpu_us = each(stack.servers.cpu(), serversBefore);
    out.rate = count / (shop.name === 'embedded' ? out.mailed_s : out.paid_s);
    return { ...out, orders: count, answered_rate: answered.rate, p99_us: answered.p99_us };
}

export async function measurePaid(context, stack) {
    const { shop } = stack;
    const what = `orders until paid on ${shop.name}`;
    const name = shop.name === 'embedded' ? 'SQLite commits' : 'pgbench saga, 2 lines';
    const limit = await attempt(context, `the limit of ${what}`, () => stack.limit(name));
    const file = writeRequests(context.sandbox, `${shop.name}-paid`, orders(stack.data, 2));
    for (let round = 0; round < context.rounds; ++round) {
        const about = { workload: 'paid', stack: shop.name, loop: 'closed', round };
        context.step(`round ${round + 1}: ${what}`);
        const done = await attempt(context, what, async () =>
            keep(
                context,
                { ...about, who: 'souk' },
                await untilPaid(context, stack, file, context.orders),
            ),
        );
        if (!done) return;
        if (limit)
            await attempt(context, `${name} beside ${what}`, async () =>
                keep(
                    context,
                    { ...about, who: name },
                    await limit.run({ seconds: Math.max(1, context.seconds) }),
                ),
            );
    }
}

/// The first rows of the data set, whole invoices or not: the shop's books are compared with them.
async function firstRows(context, rows) {
    const source = join(context.root, dataSet);
    if (!existsSync(source))
        throw new Fault(`the data set is not at ${dataSet}: make replay says what it is`);
    const file = context.sandbox.path('trade.csv');
    if (existsSync(file)) return file;
    const out = createWriteStream(file);
    let left = rows + 1;
    for await (const line of createInterface({
        input: createReadStream(source).pipe(createGunzip()),
    })) {
        if (left-- === 0) break;
        out.write(`${line}\n`);
    }
    await new Promise((done) => out.end(done));
    return file;
}

/// Once a shop: a replay again would find that all is there.
export async function measureReplay(context, stack) {
    const { shop, data } = stack;
    const what = `replay on ${shop.name}`;
    context.step(what);
    await attempt(context, what, async () => {
        const file = await firstRows(context, context.replayRows);
        const report = context.sandbox.path(`${shop.name}-replay.json`);
        const to = [file, '--url', shop.url, '--credentials', data.importer.file];
        await context.sandbox.run([context.souk, 'import', 'online-retail', ...to]);
        await context.sandbox.run([
            context.souk,
            'replay',
            'online-retail',
            ...to,
            '--report',
            report,
        ]);
        const {
            orders_per_s,
            seconds,
            latency_ms,
            orders: counted,
        } = JSON.parse(readFileSync(report, 'utf8'));
        keep(
            context,
            { workload: 'replay', stack: shop.name, loop: 'closed', round: 0, who: 'souk' },
            {
                rate: orders_per_s,
                seconds,
                orders: counted?.paid,
                p99_us: latency_ms?.p99 * 1000,
                rows: context.replayRows,
            },
        );
    });
}
