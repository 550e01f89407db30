// Runs psql and pgbench against the server that tests/support/services.sh started. Passwords go by
// the environment, never by arguments.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { quantiles } from '../statistics.mjs';

// Two threads of pgbench, as there are two cores; one core of its own would be the load's limit.
const threads = 2;
// Seconds in which connections prepare and caches fill; the closed loop's reports are a second's.
const closedWarm = 1;
const openWarm = 0.3;

/// What services.sh wrote: {postgres: {host, port, user, password, database}}, of the
/// administrator, since the limits have databases of their own. `env` is an object like
/// process.env.
export function servicesOf(env) {
    const text = env.SOUK_POSTGRES_ADMIN_URL;
    if (!text)
        throw new Error('SOUK_POSTGRES_ADMIN_URL is not set: tests/support/services.sh env DIR');
    const url = new URL(text);
    return {
        postgres: {
            host: url.hostname,
            port: Number(url.port || 5432),
            user: decodeURIComponent(url.username),
            password: decodeURIComponent(url.password),
            database: url.pathname.slice(1),
        },
    };
}

/// The same from the file DIR/env.
export async function readServices(file) {
    const env = {};
    for (const line of (await readFile(file, 'utf8')).split('\n')) {
        const found = /^export (\w+)='(.*)'$/.exec(line);
        if (found) env[found[1]] = found[2];
    }
    return servicesOf(env);
}

function environment({ postgres }, database) {
    return {
        ...process.env,
        PGHOST: postgres.host,
        PGPORT: String(postgres.port),
        PGUSER: postgres.user,
        PGPASSWORD: postgres.password,
        PGDATABASE: database ?? postgres.database,
    };
}

function execute(command, args, env, input) {
    return new Promise((resolve, reject) => {
        const child = spawn(command, args, { env, stdio: 'pipe' });
        const out = [];
        const err = [];
        child.stdout.on('data', (piece) => out.push(piece));
        child.stderr.on('data', (piece) => err.push(piece));
        child.on('error', reject);
        child.on('close', (code) => {
            const errors = Buffer.concat(err).toString();
            if (code !== 0) reject(new Error(`${command} failed (${code}): ${errors.trim()}`));
            else resolve({ out: Buffer.concat(out).toString(), err: errors });
        });
        child.stdin.on('error', () => {}); // it has ended: `close` says why
        child.stdin.end(input ?? '');
    });
}

/// Unaligned rows of tab-separated values.
export async function sql(services, database, text) {
    const args = ['-X', '-q', '-A', '-t', '-F', '\t', '-v', 'ON_ERROR_STOP=1'];
    const { out } = await execute('psql', args, environment(services, database), text);
    return out.split('\n').filter((line) => line !== '').map((line) => line.split('\t'));
}

export async function createDatabase(services, name) {
    await dropDatabase(services, name);
    await sql(services, undefined, `CREATE DATABASE ${name};`);
}

export async function dropDatabase(services, name) {
    await sql(services, undefined, `DROP DATABASE IF EXISTS ${name} WITH (FORCE);`);
}

export async function initialize(services, database, scale) {
    const args = ['-i', '-q', '-s', String(scale)];
    await execute('pgbench', args, environment(services, database));
}

// What came after the first second, in which connections prepare and caches fill: the whole run, as
// told at its end, without what the first report of the progress has. Not by later reports: the
// last one may be missing, as pgbench ends before it is due.
function parsed({ out, err }) {
    const number = (pattern) => Number(pattern.exec(out)?.[1]);
    const all = number(/^number of transactions actually processed: (\d+)/m);
    const seconds = all / number(/^tps = ([\d.]+)/m);
    // The first report: after a second, or later when the machine is busy.
    const [, warmed, tps] = /^progress: ([\d.]+) s, ([\d.]+) tps/m.exec(err)?.map(Number) ?? [];
    if (!(seconds - warmed > 0.2)) throw new Error(`pgbench: no figures of ${seconds} s: ${err}`);
    const before = tps * warmed;
    return {
        rate: (all - before) / (seconds - warmed),
        latency_ms: number(/^latency average = ([\d.]+) ms/m),
        transactions: Math.round(all - before),
    };
}

// Of a run at a fixed rate, by the lines of --log: client, number, microseconds (from when it was
// due), script, and when it ended, in seconds and microseconds. Not by the progress, which reports
// nothing for a last second in which the next transaction is due after the end. So few are logged
// that writing them costs nothing.
async function logged(folder, warm) {
    const all = [];
    for (const name of await readdir(folder)) {
        if (!name.startsWith('log.')) continue;
        for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
            const [, , us, , seconds, micros] = line.split(' ').map(Number);
            if (line !== '') all.push({ us, at: seconds + micros / 1e6 });
        }
    }
    const start = all.reduce((first, one) => Math.min(first, one.at), Infinity);
    const kept = all.filter((one) => one.at >= start + warm);
    if (kept.length < 2) throw new Error(`pgbench: ${kept.length} transactions after ${warm} s`);
    const end = kept.reduce((last, one) => Math.max(last, one.at), 0);
    const sorted = Float64Array.from(kept, (one) => one.us).sort();
    const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
    return {
        rate: kept.length / (end - start - warm),
        transactions: kept.length,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        max_us: at(1),
        quantiles_us: quantiles.map((part) => [part, at(part)]),
    };
}

function commonArguments(clients, variables) {
    const args = ['-n', '-M', 'prepared', '-c', String(clients)];
    args.push('-j', String(Math.min(clients, threads)));
    for (const [name, value] of Object.entries(variables)) args.push('-D', `${name}=${value}`);
    return args;
}

async function work(folder, script) {
    if (script === undefined) return ['-S'];
    const file = join(folder, 'script.sql');
    await writeFile(file, script);
    return ['-f', file];
}

/// A number of transactions in each client, not measured; those of `lazy` clients need not be
/// durable.
export async function perform(services, database, options) {
    const { clients, count, script, variables, lazy = false } = options;
    const env = environment(services, database);
    if (lazy) env.PGOPTIONS = '-c synchronous_commit=off';
    const folder = await mkdtemp(join(tmpdir(), 'souk-pgbench.'));
    try {
        const args = [...commonArguments(clients, variables), '-t', String(count)];
        args.push(...(await work(folder, script)));
        await execute('pgbench', args, env);
    } finally {
        await rm(folder, { recursive: true });
    }
}

/// One run: {rate, clients, latency_ms, transactions} of so many seconds after `warm`; with `rate`
/// percentiles instead of latency_ms, counted from when a transaction was due.
export async function pgbench(services, database, options) {
    const { clients, seconds, rate, script, variables = {} } = options;
    const warm = rate ? openWarm : closedWarm;
    const folder = await mkdtemp(join(tmpdir(), 'souk-pgbench.'));
    try {
        const args = [...commonArguments(clients, variables)];
        args.push('-T', String(Math.ceil(warm + seconds)));
        if (rate) args.push('-R', String(rate), '--log', `--log-prefix=${join(folder, 'log')}`);
        else args.push('-P', '1');
        args.push(...(await work(folder, script)));
        const said = await execute('pgbench', args, environment(services, database));
        const failed = Number(/^number of failed transactions: (\d+)/m.exec(said.out)?.[1]);
        if (failed !== 0) throw new Error(`pgbench: ${failed} transactions failed`);
        return { ...(rate ? await logged(folder, warm) : parsed(said)), clients };
    } finally {
        await rm(folder, { recursive: true });
    }
}
