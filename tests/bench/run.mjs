#!/usr/bin/env node
// `make bench`: the shop beside the limits of the machine, in one run. README.md says how to read
// it.
import { cpus, release, totalmem } from 'node:os';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { fill } from './data.mjs';
import { measureEdge } from './edge.mjs';
import { binarySize, startTimes } from './footprint.mjs';
import { bareHash, beastLibpq, pgbenchLimits, sqliteCommits } from './limits.mjs';
import { attempt, measureHttp } from './measure.mjs';
import { summarize } from './report.mjs';
import { Fault, Sandbox } from './sandbox.mjs';
import { operatorOf, stackNames, startServers, startSplit, startWhole } from './stacks.mjs';
import { asText } from './table.mjs';
import { measurePaid, measureReplay } from './trade.mjs';
import { limitOf, workloads } from './workloads.mjs';

const usage = `make bench ARGS='...'
  --stack embedded,servers,split   only these (all)
  --only REGEX      only what matches: ${workloads.map((one) => one.name).join(' ')}
                    paid replay edge start size
  --rounds N        of each measurement (3)
  --seconds S       a measurement (1)
  --quick           to see that it works: one round of 1 s; no figures to believe
  --json            the results instead of the table
  --strict          exit 1 when a target is missed
Results are in build/bench/results.json. Exit 1: something could not be measured.
`;

const root = fileURLToPath(new URL('../..', import.meta.url));

function optionsOf(argv) {
    const { values } = parseArgs({
        args: argv,
        options: {
            stack: { type: 'string', default: stackNames.join(',') },
            only: { type: 'string', default: '' },
            rounds: { type: 'string' },
            seconds: { type: 'string' },
            quick: { type: 'boolean', default: false },
            json: { type: 'boolean', default: false },
            strict: { type: 'boolean', default: false },
            help: { type: 'boolean', default: false },
        },
    });
    const number = (name, fallback) => {
        const value = Number(values[name] ?? fallback);
        if (!(value > 0)) throw new Fault(`--${name}: '${values[name]}' is no number above 0`);
        return value;
    };
    const stacks = values.stack.split(',');
    for (const one of stacks)
        if (!stackNames.includes(one))
            throw new Fault(`--stack: no '${one}'; there are: ${stackNames.join(', ')}`);
    const seconds = number('seconds', 1);
    return {
        ...values,
        stacks,
        only: new RegExp(values.only),
        rounds: Math.round(number('rounds', values.quick ? 1 : 3)),
        seconds,
    };
}

// --- what a run knows ---

function contextOf(options) {
    const souk = realpathSync(
        process.env.SOUK ?? join(root, 'build', process.env.PRESET || 'release', 'souk'),
    );
    const tools = process.env.BENCH_TOOLS ?? dirname(souk);
    const { rounds, seconds, quick } = options;
    const started = performance.now();
    const planned = estimate(options);
    let steps = 0;
    const bar = (text) => {
        const part = Math.min(1, (performance.now() - started) / 1000 / planned);
        const filled = Math.round(part * 20);
        const line = `[${'#'.repeat(filled)}${'.'.repeat(20 - filled)}] ${text}`;
        process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    };
    return {
        root,
        souk,
        rounds,
        seconds,
        stacks: options.stacks,
        tool: (name) => join(tools, name),
        openRounds: 2 * rounds - 1,
        orders: quick ? 300 : 3000,
        replayRows: quick ? 2000 : 30_000,
        starts: quick ? 3 : 7,
        probeSeconds: 1,
        wanted: (name) => options.only.test(name),
        measurements: [],
        missing: [],
        notes: [],
        planned,
        started,
        say: (text) =>
            process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}bench: ${text}\n`),
        step(text) {
            ++steps;
            if (process.stderr.isTTY) bar(text);
            else process.stderr.write(`bench: ${text}\n`);
        },
    };
}

/// Seconds, from what a step has taken on 2 cores; good to a third.
function estimate({ stacks, rounds, seconds, only }) {
    const wanted = workloads.filter((one) => only.test(one.name));
    const one = seconds + 0.6;
    let sum = 5;
    for (const stack of stacks) {
        const both = wanted.reduce((all, row) => all + (limitOf(row, stack) ? 2 : 1), 0);
        sum += 15 + both * one * rounds + (stack === 'embedded' ? 0 : 15);
        sum += both * (0.6 * seconds + 0.6) * (2 * rounds - 1) + (only.test('login') ? 12 : 0);
        if (only.test('paid')) sum += 5 * rounds;
        if (only.test('replay')) sum += 6;
    }
    if (only.test('edge') && stacks.includes('split')) sum += 10 + 24 * (seconds + 0.4) * rounds;
    return sum;
}

function machine() {
    const [cpu] = cpus();
    return {
        cpu: cpu.model.trim(),
        cores: cpus().length,
        memory_gib: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
        node: process.version,
    };
}

async function versionOf({ sandbox, souk }) {
    const version = (await sandbox.run([souk, 'version'])).stdout.trim();
    const commit = await sandbox.run(['git', '-C', root, 'describe', '--always', '--dirty'], {
        check: false,
    });
    return commit.code === 0 ? `${version} (${commit.stdout.trim()})` : version;
}

// --- the stacks ---

/// What the books say after all that was measured: a fast shop that loses an order is no shop.
async function verify(context, shop) {
    const { args, env } = operatorOf(shop);
    context.step(`souk verify, ${shop.name}`);
    await attempt(context, `the books of ${shop.name}`, () =>
        context.sandbox.run([context.souk, 'verify', ...args, '--settle', '60'], { env }),
    );
}

async function measureStack(context, stack) {
    await stack.servers?.tidy();
    await measureHttp(context, stack);
    if (context.wanted('paid')) await measurePaid(context, stack);
    if (context.wanted('replay')) await measureReplay(context, stack);
    await verify(context, stack.shop);
}

async function embedded(context) {
    context.step('the whole shop, embedded');
    const shop = await startWhole(context.sandbox, context.souk, 'embedded');
    context.step(`its products`);
    const data = await fill(shop);
    const own = { 'bare hash': bareHash(context), 'SQLite commits': sqliteCommits(context) };
    await measureStack(context, {
        shop,
        data,
        orientation: true,
        limit: async (name) => own[name],
    });
    await shop.stop();
    if (context.wanted('start')) {
        context.step('start to first 200');
        context.startTimes = await attempt(context, 'the start', () =>
            startTimes(context, shop, context.starts),
        );
    }
}

/// Limits that ask the same servers; the page's positions come from the shop's own cursors.
function serverLimits(context, servers, data) {
    const pgbench = pgbenchLimits(servers, context.probeSeconds);
    const positions = data.cursors.map((cursor) => JSON.parse(Buffer.from(cursor, 'base64url')));
    return async (name) => {
        if (name === 'bare hash') return bareHash(context);
        if (name === 'Beast + libpq') return beastLibpq(context, servers, positions);
        if (!pgbench.has(name)) context.step(`preparing ${name}`);
        return pgbench.get(name);
    };
}

async function onServers(context) {
    const { sandbox, souk } = context;
    context.step('PostgreSQL, Redis and RabbitMQ of its own');
    const servers = await startServers(sandbox);
    context.step('the whole shop on servers');
    let shop = await startWhole(sandbox, souk, 'servers', servers.env);
    context.step('its products');
    const data = await fill(shop);
    const limit = serverLimits(context, servers, data);
    if (context.stacks.includes('servers'))
        await measureStack(context, {
            shop,
            servers,
            data,
            limit,
            orientation: !context.stacks.includes('embedded'),
        });
    if (!context.stacks.includes('split')) return shop.stop();
    await split(context, { whole: shop, servers, data, limit });
}

/// On the same databases, so with the same data. Reads may be asked of the whole shop meanwhile;
/// for orders it has to go, or both would work at them.
async function split(context, { whole, servers, data, limit }) {
    const { sandbox, souk } = context;
    await sandbox.run([souk, 'dev-certs', sandbox.path('certs')]);
    context.step('the shop, split into six');
    const six = await startSplit(sandbox, souk, 'split', servers.env);
    if (context.wanted('edge')) {
        writeFileSync(sandbox.path('certs/peer.key'), `${sandbox.secret()}\n`, { mode: 0o600 });
        const keyed = await startSplit(sandbox, souk, 'keyed', servers.env, {
            tls: false,
            only: ['user', 'product'],
        });
        await measureEdge(context, { whole, keyed, split: six, data });
        await keyed.stop();
    }
    await whole.stop();
    await measureStack(context, { shop: six, servers, data, limit });
    await six.stop();
}

async function measureAll(context) {
    if (context.wanted('size'))
        context.binary = await attempt(context, 'the size of the binary', () =>
            binarySize(context),
        );
    if (context.stacks.includes('embedded'))
        await attempt(context, 'the embedded stack', () => embedded(context));
    if (context.stacks.some((one) => one !== 'embedded'))
        await attempt(context, 'the stacks on servers', () => onServers(context));
}

// --- the run ---

function finish(context, options, version) {
    const results = summarize({
        souk: version,
        machine: machine(),
        options: {
            stacks: options.stacks,
            only: options.only.source,
            rounds: context.rounds,
            seconds: context.seconds,
            quick: options.quick,
        },
        seconds: (performance.now() - context.started) / 1000,
        measurements: context.measurements,
        missing: context.missing,
        notes: context.notes,
        startTimes: context.startTimes,
        binary: context.binary,
    });
    const folder = join(root, 'build/bench');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, undefined, 1)}\n`);
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : `${asText(results)}\n`);
    if (context.missing.length > 0) return 1;
    return options.strict && results.targets.some((one) => !one.held && !one.stretch) ? 1 : 0;
}

async function main() {
    const options = optionsOf(process.argv.slice(2));
    if (options.help) return void process.stdout.write(usage);
    const context = contextOf(options);
    for (const name of ['bench_load', 'bench_bare_beast'])
        if (!existsSync(context.tool(name)))
            throw new Fault(`there is no ${context.tool(name)}: make bench builds it`);
    context.sandbox = new Sandbox(root);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.on(signal, async () => {
            context.say('stopping, and removing what was made');
            context.say = () => {};
            await context.sandbox.end();
            process.exit(130);
        });
    context.say(
        `about ${Math.max(1, Math.round(context.planned / 60))} min; all of it is in ${context.sandbox.dir}, which goes at the end`,
    );
    try {
        const version = await versionOf(context);
        await measureAll(context);
        process.exitCode = finish(context, options, version);
    } finally {
        await context.sandbox.end();
    }
}

main().catch((error) => {
    process.stderr.write(
        `bench: ${error instanceof Fault || error.code?.startsWith('ERR_PARSE') ? error.message : error.stack}\n`,
    );
    process.exitCode = 2;
});
