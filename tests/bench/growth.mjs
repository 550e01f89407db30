#!/usr/bin/env node
// `make bench-growth`: what becomes of the shop's figures when it grows. README.md says how to read it.
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { fill } from './data.mjs';
import { growFolder, growServers, idOf, unsend, unsentOf } from './growth_data.mjs';
import { load, loadShop, writeRequests } from './load.mjs';
import { Fault, Sandbox, sleep } from './sandbox.mjs';
import { Shop, startServers, startWhole } from './stacks.mjs';
import { median } from './statistics.mjs';
import { keptSeconds } from './measure.mjs';
import { orders, workloads } from './workloads.mjs';

const usage = `make bench-growth ARGS='...'
  --only data,processes,backlog,idle   only these (all)
  --stack embedded,servers   on which data is grown (both); the others need servers, idle is embedded
  --factors 1,10,100         of the data: 10,000 products, 2,000 orders, 16 customers
  --rounds N --seconds S     of each measurement (3, 1.5)
  --quick                    to see that it works: factors 1,3, one round; no figures to believe
  --json                     the results instead of the tables
Results are in build/bench/growth.json. Exit 1: something could not be measured.
`;

const root = fileURLToPath(new URL('../..', import.meta.url));
const parts = ['data', 'processes', 'backlog', 'idle'];
const products = 10_000;
const priorOrders = 2000;

function optionsOf(argv) {
    const text = (value) => ({ type: 'string', default: value });
    const flag = { type: 'boolean', default: false };
    const { values } = parseArgs({ args: argv, options: {
        only: text(parts.join(',')), stack: text('embedded,servers'), factors: { type: 'string' },
        rounds: { type: 'string' }, seconds: text('1.5'), quick: flag, json: flag, help: flag } });
    const only = values.only.split(',');
    for (const one of only) if (!parts.includes(one)) throw new Fault(`--only: no '${one}'; there are: ${parts.join(', ')}`);
    const stacks = values.stack.split(',');
    for (const one of stacks)
        if (!['embedded', 'servers'].includes(one)) throw new Fault(`--stack: no '${one}'; there are: embedded, servers`);
    const factors = (values.factors ?? (values.quick ? '1,3' : '1,10,100')).split(',').map(Number);
    if (!factors.every((one) => Number.isInteger(one) && one > 0 && one <= 1000))
        throw new Fault(`--factors: '${values.factors}': whole numbers from 1 to 1000`);
    const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
    const seconds = Number(values.seconds);
    if (!(rounds >= 1 && seconds > 0)) throw new Fault('--rounds and --seconds: numbers above 0');
    return { ...values, only, stacks, factors, rounds: Math.round(rounds), seconds };
}

function step(text) {
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `bench-growth: ${text}\n`);
}

// --- one measurement ---

const wantedWorkloads = ['list-cached', 'detail-cached', 'list', 'detail', 'me', 'order-2', 'order-20', 'mixed'];

function requestFiles(run, label, data, names = wantedWorkloads) {
    return workloads.filter((one) => names.includes(one.name)).map((workload) => {
        const lines = workload.requests(data);
        return { workload, distinct: lines.length, file: writeRequests(run.sandbox, `${label}-${workload.name}`, lines) };
    });
}

const loadOptions = (run, job) => ({
    requests: job.file, expect: job.workload.expect, seconds: run.seconds, warm: 0.3 });

async function measure(run, about, job, shop, servers) {
    step(`${Object.values(about).join(' ')}: ${job.workload.title}`);
    const result = await loadShop(run.sandbox, run.tool, shop, servers, loadOptions(run, job));
    if (job.workload.orders) await shop.settled();
    const cached = job.workload.name === 'detail' && job.distinct / result.rate < keptSeconds;
    run.measurements.push({ ...about, workload: job.workload.name, cached, rate: result.rate, p99_us: result.p99_us,
        cpu_us: result.cpu_us, servers_cpu_us: result.servers_cpu_us, pss_mib: result.pss_mib });
}

/// Orders of all lengths that the trade has, so that there is a past to multiply.
async function trade(run, shop, data) {
    step(`${priorOrders} orders of the past`);
    const lines = [1, 2, 5, 8, 13, 20, 35].flatMap((count) => orders(data, count, 300));
    const file = writeRequests(run.sandbox, `${shop.name}-past`, lines);
    await load(run.sandbox, run.tool, { url: shop.url, requests: file, expect: '201', count: run.quick ? 200 : priorOrders });
    await shop.settled();
}

async function filled(run, shop) {
    step(`${shop.name}: ${products} products`);
    const data = await fill(shop, { products, pages: 100 });
    await trade(run, shop, data);
    await shop.stop();
    return data;
}

// More than are read in the 1.2 s for which the cache may keep a product.
const askedProducts = 100_000;
// Prime, so that every product of a multiplied shop comes once, and neighbours are far apart.
const stride = 611_953;

/// The same customers and pages; of the products as many as there are, or as must be asked so that
/// none comes again while it is cached, from all of the copies.
function grownData(data, factor) {
    const { products: originals } = data;
    const all = originals.length * factor;
    const ids = Array.from({ length: Math.min(all, askedProducts) }, (_, i) => {
        const at = factor === 1 ? i : (i * stride) % all;
        return idOf(originals[at % originals.length], Math.floor(at / originals.length));
    });
    return { ...data, products: ids };
}

// --- the same shop with 1, 10 and 100 times the data ---

async function growEach(run, stack, grow) {
    const jobs = new Map();
    for (const factor of run.factors) {
        step(`${stack.name}: ${factor} times the data`);
        jobs.set(factor, { env: await grow(factor), files: requestFiles(run, `${stack.name}-x${factor}`, grownData(stack.data, factor)) });
    }
    for (let round = 0; round < run.rounds; ++round)
        for (const factor of run.factors) {
            const { env, files } = jobs.get(factor);
            const shop = await startWhole(run.sandbox, run.souk, `${stack.name}-x${factor}`, env);
            for (const job of files)
                await measure(run, { part: 'data', stack: stack.name, factor, round }, job, shop, stack.servers);
            await shop.stop();
        }
}

async function embeddedData(run) {
    const shop = await startWhole(run.sandbox, run.souk, 'embedded');
    const data = await filled(run, shop);
    const from = shop.dataOf('whole');
    await growEach(run, { name: 'embedded', data }, async (factor) => {
        await growFolder(run.sandbox, from, run.sandbox.path(`embedded-x${factor}-whole`), factor);
        return {};
    });
}

// --- several processes of the whole shop on the same servers ---

/// Several shops as one: what loadShop and settled() ask is summed.
class Fleet {
    constructor(shops) {
        this.shops = shops;
        this.url = shops.map((one) => one.url).join(',');
    }

    cpu() {
        const all = this.shops.map((one) => one.cpu().whole);
        return { whole: all.reduce((sum, one) => sum + one, 0) };
    }

    pss() {
        return this.shops.reduce((sum, one) => sum + one.pss(), 0);
    }

    async progress() {
        const all = await Promise.all(this.shops.map((one) => one.progress()));
        const sum = (name) => all.reduce((total, one) => total + one[name], 0);
        return { placed: sum('placed'), paid: sum('paid'), mailed: sum('mailed') };
    }

    settled(limitMs) {
        return Shop.prototype.settled.call(this, limitMs);
    }

    async stop() {
        for (const one of this.shops) await one.stop();
    }
}

async function processes(run, stack, env) {
    const files = requestFiles(run, 'processes', stack.data);
    for (let round = 0; round < run.rounds; ++round)
        for (const count of [1, 2, 4]) {
            const shops = [];
            for (let i = 0; i < count; ++i) shops.push(await startWhole(run.sandbox, run.souk, `of${count}-${i}`, env));
            const fleet = new Fleet(shops);
            for (const job of files)
                await measure(run, { part: 'processes', stack: 'servers', processes: count, round }, job, fleet, stack.servers);
            await fleet.stop();
        }
}

// --- 100,000 unsent events ---

const backlogEvents = 100_000;

/// Orders placed without a backlog, and while one is handed over; then how long that took in all.
async function backlog(run, stack, env) {
    const [job] = requestFiles(run, 'backlog', stack.data, ['order-2']);
    const quiet = await startWhole(run.sandbox, run.souk, 'backlog', env);
    for (let round = 0; round < run.rounds; ++round)
        await measure(run, { part: 'backlog', unsent: 0, round }, job, quiet, stack.servers);
    await quiet.stop();
    const count = await unsend(stack.servers, env, run.quick ? 500 : backlogEvents);
    step(`${count} events are unsent`);
    const begin = performance.now();
    const shop = await startWhole(run.sandbox, run.souk, 'backlog', env);
    for (let round = 0; round < run.rounds; ++round) {
        const unsent = await unsentOf(stack.servers, env);
        const result = await loadShop(run.sandbox, run.tool, shop, stack.servers, loadOptions(run, job));
        run.measurements.push({ part: 'backlog', unsent, round, workload: 'order-2', rate: result.rate, p99_us: result.p99_us, pss_mib: result.pss_mib });
    }
    for (; await unsentOf(stack.servers, env) > 0; await sleep(100))
        if (performance.now() - begin > 300_000) throw new Fault('the backlog is not handed over after 5 min');
    const seconds = (performance.now() - begin) / 1000;
    run.measurements.push({ part: 'backlog', workload: 'handed over', events: count, seconds, rate: count / seconds });
    await shop.stop();
}

// --- 10,000 idle connections ---

const idleConnections = 10_000;

/// Connections that have asked once and are kept.
async function idleOn(url, count) {
    const { hostname, port } = new URL(url);
    const request = `GET /health HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`;
    const sockets = [];
    const open = () => new Promise((done, failed) => {
        const socket = connect(Number(port), hostname, () => socket.write(request));
        socket.once('error', failed);
        socket.once('close', () => failed(new Fault(`an idle connection was closed, after ${sockets.length}`)));
        socket.once('data', () => {
            sockets.push(socket);
            done();
        });
    });
    while (sockets.length < count) await Promise.all(Array.from({ length: Math.min(100, count - sockets.length) }, open));
    return sockets;
}

async function idle(run) {
    const limit = String(2 * idleConnections);
    const shop = await startWhole(run.sandbox, run.souk, 'idle', {
        SOUK__HTTP__MAX_CONNECTIONS: limit, SOUK__HTTP__MAX_CONNECTIONS_PER_ADDRESS: limit, SOUK__HTTP__IDLE_TIMEOUT: '10m' });
    const data = await fill(shop, { products: 500, pages: 5 });
    const [job] = requestFiles(run, 'idle', data, ['detail-cached']);
    const round = async (idle) => {
        await measure(run, { part: 'idle', idle }, job, shop);
        await sleep(500);
        run.measurements.push({ part: 'idle', idle, workload: 'at rest', pss_mib: shop.pss() });
    };
    await round(0);
    const count = run.quick ? 500 : idleConnections;
    step(`${count} idle connections`);
    const sockets = await idleOn(shop.url, count);
    await round(count);
    for (const socket of sockets) socket.destroy();
    await sleep(1000);
    await round(0);
    await shop.stop();
}

// --- the run ---

async function onServers(run) {
    step('PostgreSQL, Redis and RabbitMQ of its own');
    const servers = await startServers(run.sandbox);
    const shop = await startWhole(run.sandbox, run.souk, 'servers', servers.env);
    const data = await filled(run, shop);
    const stack = { name: 'servers', data, servers };
    if (run.only.includes('processes')) await attempt(run, 'processes', () => processes(run, stack, servers.env));
    const grown = new Map();
    const grow = async (factor) => {
        if (!grown.has(factor)) grown.set(factor, await growServers(servers, factor));
        return grown.get(factor);
    };
    if (run.only.includes('data') && run.stacks.includes('servers')) await attempt(run, 'data on servers', () => growEach(run, stack, grow));
    if (run.only.includes('backlog'))
        await attempt(run, 'backlog', async () => backlog(run, stack, await grow(Math.max(...run.factors))));
}

async function attempt(run, what, body) {
    try {
        await body();
    } catch (error) {
        const why = error instanceof Fault ? error.message : error.stack;
        run.missing.push({ what, why });
        process.stderr.write(`\nbench-growth: ${what} could not be measured: ${why}\n`);
        for (const process of run.sandbox.children) await run.sandbox.stop(process);
    }
}

async function measureAll(run) {
    if (run.only.includes('idle')) await attempt(run, 'idle connections', () => idle(run));
    if (run.only.includes('data') && run.stacks.includes('embedded')) await attempt(run, 'data, embedded', () => embeddedData(run));
    if (['processes', 'backlog'].some((one) => run.only.includes(one)) || (run.only.includes('data') && run.stacks.includes('servers')))
        await attempt(run, 'what needs servers', () => onServers(run));
}

// --- tables ---

const plain = (value) => Math.round(value).toLocaleString('en');

/// Medians of rounds by workload, beside each other: `key` distinguishes the columns.
function table(measurements, key, title) {
    const columns = [...new Set(measurements.map((one) => one[key]))];
    const rows = wantedWorkloads.filter((name) => measurements.some((one) => one.workload === name));
    const cell = (name, column) => {
        const found = measurements.filter((one) => one.workload === name && one[key] === column);
        return { rate: median(found.map((one) => one.rate)), pss: median(found.map((one) => one.pss_mib)) };
    };
    // A shop with so few products that some were asked for again while they were cached.
    const cached = (name, column) => measurements.some((one) => one.workload === name && one[key] === column && one.cached);
    const lines = rows.map((name) => {
        const base = columns.find((column) => !cached(name, column));
        const first = base === undefined ? Number.NaN : cell(name, base).rate;
        const cells = columns.map((column) => {
            const { rate } = cell(name, column);
            const of = cached(name, column) ? 'cached' : (rate / first).toFixed(2);
            return `${plain(rate)}/s (${of})`.padStart(20);
        });
        return `  ${name.padEnd(14)}${cells.join('')}`;
    });
    const memory = columns.map((column) => `${plain(Math.max(...rows.map((name) => cell(name, column).pss)))} MiB`.padStart(20));
    const head = columns.map((column) => `${column}`.padStart(20)).join('');
    return [title, `  ${''.padEnd(14)}${head}`, ...lines, `  ${'PSS, most'.padEnd(14)}${memory.join('')}`, ''].join('\n');
}

function asText({ measurements, missing }) {
    const of = (part, stack) => measurements.filter((one) => one.part === part && (!stack || one.stack === stack));
    const out = [];
    for (const stack of ['embedded', 'servers'])
        if (of('data', stack).length > 0) out.push(table(of('data', stack), 'factor', `times the data, ${stack} (in brackets: of the first that is not cached)`));
    if (of('processes').length > 0) out.push(table(of('processes'), 'processes', 'processes of the whole shop on the same servers'));
    for (const one of of('backlog'))
        out.push(one.workload === 'handed over'
            ? `backlog: ${plain(one.events)} events handed over in ${one.seconds.toFixed(1)} s, orders placed meanwhile`
            : `backlog: ${plain(one.unsent)} unsent: ${plain(one.rate)} orders/s, p99 ${plain(one.p99_us / 1000)} ms`);
    for (const one of of('idle'))
        out.push(`idle: ${plain(one.idle)} idle connections, ${one.workload}: ${one.rate ? `${plain(one.rate)}/s, ` : ''}${one.pss_mib.toFixed(1)} MiB`);
    for (const one of missing) out.push(`not measured: ${one.what}: ${one.why}`);
    return out.join('\n');
}

async function main() {
    const options = optionsOf(process.argv.slice(2));
    if (options.help) return void process.stdout.write(usage);
    const souk = realpathSync(process.env.SOUK ?? join(root, 'build', process.env.PRESET || 'release', 'souk'));
    const tool = join(process.env.BENCH_TOOLS ?? dirname(souk), 'bench_load');
    if (!existsSync(tool)) throw new Fault(`there is no ${tool}: make bench-growth builds it`);
    const sandbox = new Sandbox(root);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.on(signal, async () => {
            await sandbox.end();
            process.exit(130);
        });
    const run = { ...options, souk, tool, sandbox, measurements: [], missing: [] };
    try {
        await measureAll(run);
    } finally {
        await sandbox.end();
    }
    const { factors, rounds, seconds, quick } = options;
    const results = { options: { factors, rounds, seconds, quick }, measurements: run.measurements, missing: run.missing };
    mkdirSync(join(root, 'build/bench'), { recursive: true });
    writeFileSync(join(root, 'build/bench/growth.json'), `${JSON.stringify(results, undefined, 1)}\n`);
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : `${asText(results)}\n`);
    process.exitCode = run.missing.length > 0 ? 1 : 0;
}

main().catch((error) => {
    process.stderr.write(`bench-growth: ${error instanceof Fault || error.code?.startsWith('ERR_PARSE') ? error.message : error.stack}\n`);
    process.exitCode = 2;
});
