// The limits that are measured beside the shops. Each: {name, kind, prepare?, run(options), p99?}.
// What each is and why it is one stands in README.md.
import { connect } from 'node:net';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { load, writeRequests } from './load.mjs';
import { placedOrder, sagaOrder, selectOnly, servicesOf } from './limits/postgres.mjs';
import { Fault } from './sandbox.mjs';
import { quantileOfMix } from './statistics.mjs';

const threads = 2;

/// One whole HTTP answer, its bytes as they came.
export function record(url, { method = 'GET', path, headers = {}, body = '' }) {
    const { hostname, port } = new URL(url);
    const fields = {
        Host: `${hostname}:${port}`,
        ...headers,
        ...(body && { 'Content-Length': Buffer.byteLength(body) }),
    };
    const head = Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
    return new Promise((resolve, reject) => {
        const socket = connect(Number(port), hostname, () =>
            socket.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n${body}`),
        );
        let bytes = Buffer.alloc(0);
        socket.on('error', reject);
        socket.on('close', () => reject(new Fault(`${path}: the answer ended early`)));
        socket.on('data', (piece) => {
            bytes = Buffer.concat([bytes, piece]);
            const end = bytes.indexOf('\r\n\r\n');
            if (end < 0) return;
            const length = /^content-length: *(\d+)/im.exec(bytes.subarray(0, end).toString())?.[1];
            if (length === undefined)
                reject(new Fault(`${path}: an answer without Content-Length`));
            else if (bytes.length >= end + 4 + Number(length)) resolve(bytes);
            else return;
            socket.destroy();
        });
    });
}

/// Listens until the end of the run; asked as the shop is.
function server(context, name, process, port) {
    const url = `http://127.0.0.1:${port}`;
    const requests = writeRequests(context.sandbox, `limit-${port}`, [{ path: '/' }]);
    return {
        name,
        run: (options) =>
            load(context.sandbox, context.tool('bench_load'), {
                ...options,
                url,
                requests,
                expect: '200',
            }),
        end: () => context.sandbox.stop(process),
    };
}

export async function bareBeast(context, label, answer) {
    const file = context.sandbox.path(`${label}.http`);
    writeFileSync(file, answer);
    const argv = [context.tool('bench_bare_beast'), '--answer', file, '--threads', String(threads)];
    const process = context.sandbox.start(`beast-${label}`, argv, { answers: true });
    return server(context, 'bare Beast', process, (await context.sandbox.said(process)).port);
}

export async function nginx(context, label, answer) {
    if (!existsSync('/usr/sbin/nginx')) throw new Fault('nginx is not installed: .ci/deps bench');
    const dir = context.sandbox.path(`nginx-${label}`);
    mkdirSync(dir);
    const port = await context.sandbox.freePort();
    const template = readFileSync(new URL('limits/nginx.conf', import.meta.url), 'utf8');
    const user = process.getuid() === 0 ? 'user root;\n' : '';
    writeFileSync(
        join(dir, 'nginx.conf'),
        user + template.replaceAll('DIR', dir).replaceAll('PORT', port),
    );
    writeFileSync(join(dir, 'answer.json'), answer.subarray(answer.indexOf('\r\n\r\n') + 4));
    const started = context.sandbox.start(`nginx-${label}`, [
        '/usr/sbin/nginx',
        '-p',
        dir,
        '-c',
        join(dir, 'nginx.conf'),
    ]);
    for (
        let i = 0;
        !(await fetch(`http://127.0.0.1:${port}/`).then(
            (one) => one.ok,
            () => false,
        ));
        ++i
    )
        if (started.gone || i === 500)
            throw new Fault(`nginx did not start:\n${context.sandbox.logOf(started)}`);
    return server(context, 'nginx', started, port);
}

/// `positions`: [created_at in µs, id] of products, where pages begin.
export async function beastLibpq(context, servers, positions) {
    const ids = context.sandbox.path('positions');
    writeFileSync(ids, positions.map((one) => one.join('\t')).join('\n') + '\n');
    const database = servers.env.DATABASE_URL.replaceAll('{module}', 'product');
    const query = new URL('limits/product_list.sql', import.meta.url).pathname;
    const argv = [
        context.tool('bench_beast_libpq'),
        '--database',
        database,
        '--query-file',
        query,
        '--ids',
        ids,
        '--threads',
        String(threads),
    ];
    const process = context.sandbox.start('beast-libpq', argv, { answers: true });
    return server(context, 'Beast + libpq', process, (await context.sandbox.said(process)).port);
}

// A hash takes 15 ms: that many are enough.
const hashSeconds = 1.5;

export function bareHash(context) {
    return {
        name: 'bare hash',
        async run({ seconds }) {
            const argv = [
                context.tool('bench_hash'),
                '--threads',
                String(threads),
                '--seconds',
                String(Math.min(seconds, hashSeconds)),
            ];
            const { rate } = JSON.parse((await context.sandbox.run(argv)).stdout);
            // Nothing waits for anything: below its peak rate a hash takes what it takes.
            return { rate, p99_us: (threads / rate) * 1e6 };
        },
        p99Is: 'one bare hash on each core',
    };
}

export function sqliteCommits(context) {
    return {
        name: 'SQLite commits',
        async run({ seconds, rate }) {
            const argv = [
                context.tool('bench_sqlite_commits'),
                '--dir',
                context.sandbox.path('commits'),
                '--seconds',
                String(seconds),
            ];
            if (rate) argv.push('--rate', String(rate));
            return JSON.parse((await context.sandbox.run(argv)).stdout);
        },
    };
}

// pgbench's connections take so long to come; nothing is measured meanwhile.
const mixWarm = 0.4;

/// Several limits at the same time, {share, limit} each, at a share of the rate: the p99 of all
/// their answers together. A closed loop has no such shares; report.mjs computes its limit.
export function mixOf(parts) {
    return {
        name: 'its parts',
        openOnly: true,
        async run({ rate, ...options }) {
            const results = await Promise.all(
                parts.map(({ share, limit }) =>
                    limit.run({ ...options, warm: mixWarm, rate: Math.max(1, rate * share) }),
                ),
            );
            const mixed = results.map(({ quantiles_us }, i) => ({
                share: parts[i].share,
                quantiles_us,
            }));
            return {
                rate: results.reduce((sum, one) => sum + one.rate, 0),
                p99_us: quantileOfMix(mixed, 0.99),
                parts: results.map(({ rate, p50_us, p99_us }, i) => ({
                    name: parts[i].limit.name,
                    share: parts[i].share,
                    rate,
                    p50_us,
                    p99_us,
                })),
            };
        },
        end: () => Promise.all(parts.map(({ limit }) => limit.end?.())),
    };
}

/// By the name that workloads.mjs gives; prepared when first asked for.
export function pgbenchLimits(servers, probeSeconds) {
    const all = {
        'pgbench -S': () => selectOnly,
        'pgbench order, 2 lines': () => placedOrder({ lines: 2 }),
        'pgbench order, 20 lines': () => placedOrder({ lines: 20 }),
        'pgbench saga, 2 lines': () => sagaOrder({ lines: 2 }),
    };
    const made = new Map();
    const get = async (name) => {
        if (!made.has(name)) {
            const limit = all[name]();
            await limit.prepare(servicesOf({ SOUK_POSTGRES_ADMIN_URL: servers.admin }), {
                probe_seconds: probeSeconds,
            });
            made.set(name, {
                name,
                run: ({ seconds, rate }) => limit.run(seconds, { rate: rate && Math.round(rate) }),
            });
        }
        return made.get(name);
    };
    return { has: (name) => made.has(name), get };
}
