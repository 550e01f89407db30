// Runs psql and pgbench against the server that tests/support/services.sh started. Passwords go by
// the environment, never by arguments.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Two threads of pgbench, as there are two cores; one core of its own would be the load's limit.
const threads = 2;

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

// The seconds of a run after those in which connections prepare and caches fill: from the progress
// that pgbench reports once a second, "progress: 3.0 s, 812.9 tps, lat 4.9 ms stddev 1.2, 0
// failed".
function parsed({ out, err }, warm) {
    const failed = Number(/^number of failed transactions: (\d+)/m.exec(out)?.[1]);
    if (failed !== 0) throw new Error(`pgbench: ${failed} transactions failed`);
    let before = 0;
    let seconds = 0;
    let transactions = 0;
    let waited_ms = 0;
    for (const line of err.matchAll(/^progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms/gm)) {
        const [at, tps, latency] = line.slice(1).map(Number);
        const length = at - before;
        before = at;
        if (at < warm + 0.5 || length < 0.5) continue;
        seconds += length;
        transactions += tps * length;
        waited_ms += tps * length * latency;
    }
    const rate = transactions / seconds;
    return { rate, latency_ms: waited_ms / transactions, transactions: Math.round(transactions) };
}

// A line of --log: client, number, microseconds (from when it was due, with --rate), script, ...
async function percentiles(folder) {
    const times = [];
    for (const name of await readdir(folder)) {
        if (!name.startsWith('log.')) continue;
        for (const line of (await readFile(join(folder, name), 'utf8')).split('\n'))
            if (line !== '') times.push(Number(line.split(' ')[2]));
    }
    const sorted = Float64Array.from(times).sort();
    const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
    return { p50_us: at(0.5), p90_us: at(0.9), p99_us: at(0.99), max_us: at(1) };
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

/// One run: {rate, clients, latency_ms, transactions} of so many seconds after `warm`; with --rate
/// also percentiles of all of it, counted from when a transaction was due.
export async function pgbench(services, database, options) {
    const { clients, seconds, warm = 1, rate, script, variables = {} } = options;
    const folder = await mkdtemp(join(tmpdir(), 'souk-pgbench.'));
    try {
        const args = [...commonArguments(clients, variables)];
        args.push('-P', '1', '-T', String(warm + Math.ceil(seconds)));
        if (rate) args.push('-R', String(rate), '--log', `--log-prefix=${join(folder, 'log')}`);
        args.push(...(await work(folder, script)));
        const said = await execute('pgbench', args, environment(services, database));
        const report = parsed(said, warm);
        return { ...report, clients, ...(rate ? await percentiles(folder) : {}) };
    } finally {
        await rm(folder, { recursive: true });
    }
}
