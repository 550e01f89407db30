// The limits that PostgreSQL itself sets, by pgbench in databases of their own on the server that
// the shop uses in the same run, so with the same settings (fsync and synchronous_commit are on).
//
//     const limit = placedOrder({ lines: 2 });
//     await limit.prepare(services);      // servicesOf(process.env) or readServices('DIR/env')
//     await limit.run(5);                 // {rate, clients, latency_ms, transactions}
//     await limit.run(5, { rate: 500 });  // open loop: p50_us p90_us p99_us max_us too
//     await limit.remove();
//
// By itself: node postgres.mjs --services DIR/env [--seconds 5] [--json] [NAME...]
//     --check-shop N [--lines 2]   whether N orders that a fresh shop placed there, until their
//                                  mails were sent, left N times what the limits' check expects
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { createShop, rendered, texts } from './bench_shop.mjs';
import {
    checkRows,
    checkShop,
    fill,
    placedCommits,
    placedRows,
    sagaCommits,
    sagaRows,
} from './bench_rows.mjs';
import { createDatabase, dropDatabase, initialize, pgbench, readServices } from './pgbench.mjs';

export { readServices, servicesOf } from './pgbench.mjs';

const clientCounts = [4, 8, 16, 32, 64];

/// The best of client counts, found once; from then on a run has that many clients.
async function best(seconds, measure) {
    let found;
    for (const clients of clientCounts) {
        const result = await measure(clients, seconds);
        if (!found || result.rate > found.rate) found = result;
    }
    return found.clients;
}

function limit({ name, why, database, create, work }) {
    let services;
    let clients;
    const measure = (count, seconds, more = {}) =>
        pgbench(services, database, { clients: count, seconds, ...work(), ...more });
    return {
        name,
        why,
        async prepare(given, { probe_seconds = 2 } = {}) {
            services = given;
            await createDatabase(services, database);
            await create(services, database);
            clients = await best(probe_seconds, measure);
        },
        run: (seconds, { rate, clients: count = clients } = {}) =>
            measure(count, seconds, { rate }),
        remove: () => dropDatabase(services, database),
    };
}

export const selectOnly = limit({
    name: 'pgbench -S',
    why: 'one row by primary key, the statement prepared: the least that a read can be',
    database: 'souk_limit_select',
    create: (services, database) => initialize(services, database, 1),
    work: () => ({}),
});

// Numbers of orders are unique in a database: a run begins where none before has been.
const numbersPerRun = 1 << 24;

function orderLimit({ name, why, lines, file, leaves, commits }) {
    let runs = 0;
    let script;
    const database = `souk_limit_${file.replace('.sql', '')}_${lines}`;
    const work = () => ({
        script,
        variables: { ...texts(lines), n: 0, start: ++runs * numbersPerRun },
    });
    return limit({
        name: `${name}, ${lines} lines`,
        why,
        database,
        work,
        async create(services) {
            script = await rendered(file, lines);
            await createShop(services, database);
            await checkRows(services, database, { leaves, commits, next: work });
            await fill(services, database, work());
        },
    });
}

export const placedOrder = ({ lines }) =>
    orderLimit({
        name: 'order placed',
        why: 'the rows and the three commits of an order answered 201, by hand, nothing but SQL',
        lines,
        file: 'placed.sql',
        leaves: placedRows(lines),
        commits: placedCommits,
    });

export const sagaOrder = ({ lines }) =>
    orderLimit({
        name: 'order until paid',
        why: "all of our own saga's SQL, an order at a time: what batches and fewer looks can save",
        lines,
        file: 'saga.sql',
        leaves: sagaRows(lines),
        commits: sagaCommits,
    });

const all = [
    selectOnly,
    placedOrder({ lines: 2 }),
    placedOrder({ lines: 20 }),
    sagaOrder({ lines: 2 }),
    sagaOrder({ lines: 20 }),
];

async function main() {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            services: { type: 'string' },
            seconds: { type: 'string', default: '5' },
            json: { type: 'boolean', default: false },
            'check-shop': { type: 'string' },
            lines: { type: 'string', default: '2' },
        },
    });
    if (!values.services) throw new Error('--services DIR/env is missing');
    const services = await readServices(values.services);
    if (values['check-shop']) {
        await checkShop(services, sagaRows(Number(values.lines)), Number(values['check-shop']));
        return;
    }
    const results = [];
    for (const one of all) {
        if (positionals.length > 0 && !positionals.includes(one.name)) continue;
        await one.prepare(services);
        results.push({ name: one.name, ...(await one.run(Number(values.seconds))) });
        await one.remove();
    }
    if (values.json) console.log(JSON.stringify(results));
    else console.table(results);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    main().catch((error) => {
        console.error(`limits: ${error.message}`);
        process.exitCode = 1;
    });
}
