// The shops that are measured: whole on what is embedded, whole on servers, and split into its six
// processes on the same servers. Each: {name, url, processes: {role: process}, metricsPort(role)}.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { sql } from './limits/pgbench.mjs';
import { servicesOf } from './limits/postgres.mjs';
import { cpuOf, cpuOfTree, metricsOf, pssOf, total } from './observe.mjs';
import { Fault, sleep } from './sandbox.mjs';

export const stackNames = ['embedded', 'servers', 'split'];
// Those that are called before those that call them.
const roles = ['user', 'product', 'payment', 'order', 'notification', 'gateway'];
const startLimitMs = 60_000;
// The limits of rates are for one customer, not for all of them coming from one address; tokens
// must last for the whole run.
const settings = [
    'http.access_log=false',
    'gateway.browse_per_minute=60000000',
    'gateway.checkout_per_minute=60000000',
    'gateway.credentials_per_minute=60000000',
    'gateway.import_per_minute=60000000',
    'modules.user.access_token_ttl=1h',
];

export class Shop {
    constructor(sandbox, souk, name, env = {}) {
        this.sandbox = sandbox;
        this.souk = souk;
        this.name = name;
        this.env = env;
        this.processes = {};
        this.told = {};
    }

    /// One process of it; `role` whole or a module's name.
    launch(role, args, env = {}) {
        const data = this.dataOf(role);
        const shared = Object.keys(this.env).length > 0 ? this.sandbox.path('shared') : data;
        const argv = [
            this.souk,
            'serve',
            '--data',
            data,
            '--metrics-port',
            '0',
            '--set',
            `data.shared=${shared}`,
            ...settings.flatMap((one) => ['--set', one]),
            ...args,
        ];
        this.processes[role] = this.sandbox.start(`${this.name}-${role}`, argv, {
            env: { ...this.env, ...env },
        });
    }

    dataOf(role) {
        return this.sandbox.path(`${this.name}-${role}`);
    }

    /// Until it listens.
    async started(role) {
        const file = join(this.dataOf(role), 'souk.json');
        for (const end = Date.now() + startLimitMs; ; await sleep(20)) {
            const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
            const process = this.processes[role];
            if (text && JSON.parse(text).pid === process.pid) {
                this.told[role] = JSON.parse(text);
                return;
            }
            if (process.gone || Date.now() > end)
                throw new Fault(`${process.name} did not start:\n${this.sandbox.logOf(process)}`);
        }
    }

    get url() {
        return `http://127.0.0.1:${(this.told.whole ?? this.told.gateway).port}`;
    }

    get pids() {
        return Object.values(this.processes).map((one) => one.pid);
    }

    /// µs by role.
    cpu() {
        return Object.fromEntries(
            Object.entries(this.processes).map(([role, one]) => [role, cpuOf(one.pid)]),
        );
    }

    pss() {
        return this.pids.reduce((sum, pid) => sum + pssOf(pid), 0);
    }

    metrics(role) {
        return metricsOf((this.told[role] ?? this.told.whole).metrics_port);
    }

    /// What became of the orders placed since its processes began.
    async progress() {
        const [order, notification] = this.told.whole
            ? [await this.metrics('whole')].flatMap((one) => [one, one])
            : await Promise.all([this.metrics('order'), this.metrics('notification')]);
        const placed = (route) =>
            total(order, 'http_requests_total', { method: 'POST', route, status: '201' });
        return {
            placed: placed('/api/orders') + placed('/api/orders/import'),
            paid: total(order, 'events_delivered_total', { consumer: 'order' }),
            mailed: total(notification, 'notification_mails_total', { status: 'sent' }),
        };
    }

    /// Waits until every order is paid and its mail is written.
    async settled(limitMs = 120_000) {
        for (const end = Date.now() + limitMs; ; await sleep(50)) {
            const now = await this.progress();
            if (now.paid >= now.placed && now.mailed >= now.placed) return;
            if (Date.now() > end)
                throw new Fault(`${this.name}: orders don't end: ${JSON.stringify(now)}`);
        }
    }

    async stop() {
        // Who calls before who is called, so that nobody misses a peer while it drains.
        for (const one of Object.values(this.processes).reverse()) await this.sandbox.stop(one);
        this.processes = {};
        this.told = {};
    }
}

export async function startWhole(sandbox, souk, name, env = {}) {
    const shop = new Shop(sandbox, souk, name, env);
    shop.launch('whole', ['--port', '0']);
    await shop.started('whole');
    return shop;
}

/// `tls`: certificates on both sides, as in production; else peers show a shared key. `only`: these
/// modules and the gateway.
export async function startSplit(sandbox, souk, name, env, { tls = true, only = roles } = {}) {
    const shop = new Shop(sandbox, souk, name, env);
    shop.internal = {};
    const wanted = roles.filter((role) => only.includes(role) || role === 'gateway');
    for (const role of wanted)
        if (role !== 'gateway') shop.internal[role] = await sandbox.freePort();
    const scheme = tls ? 'https' : 'http';
    const peers = Object.fromEntries(
        roles
            .filter((role) => role !== 'gateway')
            .map((role) => [
                `SOUK__PEERS__${role.toUpperCase()}`,
                `${scheme}://127.0.0.1:${shop.internal[role] ?? 1}`,
            ]),
    );
    for (const role of wanted) {
        const port = shop.internal[role] ? ['--set', `internal.port=${shop.internal[role]}`] : [];
        const env = { ...peers, ...credentialsOf(sandbox, role, tls) };
        shop.launch(role, [`--modules=${role}`, '--port', '0', ...port], env);
    }
    for (const role of wanted) await shop.started(role);
    await becomesReady(shop, wanted);
    return shop;
}

async function becomesReady(shop, wanted) {
    for (const role of wanted) {
        const url = `http://127.0.0.1:${shop.told[role].metrics_port}/health/ready`;
        for (const end = Date.now() + startLimitMs; !(await fetch(url)).ok; await sleep(20))
            if (Date.now() > end) throw new Fault(`${shop.name}: ${role} is not ready`);
    }
}

function credentialsOf(sandbox, role, tls) {
    const certs = sandbox.path('certs');
    const identity =
        role === 'gateway'
            ? ['IDENTITY_KEY_FILE', 'identity.key']
            : ['IDENTITY_PUBLIC_FILE', 'identity.pub'];
    const files = tls
        ? { CA_FILE: 'ca.crt', CERTIFICATE_FILE: `${role}.crt`, KEY_FILE: `${role}.key` }
        : { SHARED_KEY_FILE: 'peer.key' };
    const all = { ...files, [identity[0]]: identity[1] };
    return Object.fromEntries(
        Object.entries(all).map(([name, file]) => [`SOUK__INTERNAL__${name}`, join(certs, file)]),
    );
}

/// What `souk verify` and `souk seed` need to reach the shop.
export function operatorOf(shop) {
    if (shop.told.whole) return { args: ['--data', shop.dataOf('whole')], env: shop.env };
    const peers = Object.fromEntries(
        Object.entries(shop.internal).map(([role, port]) => [
            `SOUK__PEERS__${role.toUpperCase()}`,
            `https://127.0.0.1:${port}`,
        ]),
    );
    return {
        args: ['--data', shop.dataOf('operator')],
        env: { ...peers, ...credentialsOf(shop.sandbox, 'operator', true) },
    };
}

/// PostgreSQL, Redis and RabbitMQ of its own: {env, file, cpu()}.
export async function startServers(sandbox) {
    const dir = sandbox.path('services');
    sandbox.servicesRun = true;
    await sandbox.run([sandbox.services, 'start', '--owner', String(process.pid), dir]);
    const env = {};
    for (const [, name, value] of readFileSync(join(dir, 'env'), 'utf8').matchAll(
        /^export (\w+)='(.*)'$/gm,
    ))
        env[name] = value;
    const shopEnv = Object.fromEntries(
        Object.entries(env).filter(([name]) => name !== 'SOUK_POSTGRES_ADMIN_URL'),
    );
    const pid = (name) => Number(readFileSync(join(dir, `${name}.pid`), 'utf8').split(' ')[0]);
    const cpu = () =>
        Object.fromEntries(
            ['postgres', 'redis', 'rabbitmq'].map((name) => [name, cpuOfTree(pid(name))]),
        );
    const admin = env.SOUK_POSTGRES_ADMIN_URL;
    return { env: shopEnv, admin, file: join(dir, 'env'), cpu, tidy: () => tidy(admin) };
}

/// Does at once what autovacuum and the next checkpoint would do within a minute or five, in the
/// middle of whatever is measured then.
async function tidy(admin) {
    const services = servicesOf({ SOUK_POSTGRES_ADMIN_URL: admin });
    for (const module of roles.filter((one) => one !== 'gateway'))
        await sql(services, `souk_${module}`, 'VACUUM (ANALYZE);');
    await sql(services, undefined, 'CHECKPOINT;');
}
