// Shops of many times the data: the databases of a shop that has traded are copied, and their rows
// multiplied in place, by the same statements in PostgreSQL and in SQLite. What is copied keeps its
// proportions: per order its lines, reservation, payment, ledger, mail and events.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { sql } from './limits/pgbench.mjs';
import { servicesOf } from './limits/postgres.mjs';

const modules = ['user', 'product', 'order', 'payment', 'notification'];
// An id is a prefix of four characters and 26 others, of which the first four say in which months it
// was made: there the copy's number stands. A refund's charge has one, a charge's is empty.
const copied = (column) => `CASE ${column} WHEN '' THEN ''
    ELSE substr(${column}, 1, 4) || substr(CAST(10000 + k AS TEXT), 2) || substr(${column}, 9) END`;
const numbered = (column) => `${column} || '-' || k`;

const id = (...names) => Object.fromEntries(names.map((name) => [name, copied(name)]));
const same = (...names) => Object.fromEntries(names.map((name) => [name, name]));

// [module, table, {column: its expression in a copy}]. SQLite's triggers close a ledger set: entries first.
const tables = [
    ['user', 'users', { ...id('id'), email: 'k || email', ...same('name', 'country', 'role', 'password_hash', 'created_at', 'updated_at') }],
    ['user', 'sessions', { ...id('id', 'user_id'), ...same('created_at', 'expires_at', 'revoked_at') }],
    ['product', 'products', { ...id('id'), sku: numbered('sku'), ...same('name', 'description', 'category', 'currency', 'price_micros', 'version', 'created_at', 'updated_at') }],
    ['product', 'stock', { ...id('product_id'), ...same('received', 'available', 'held', 'sold') }],
    ['product', 'reservations', { ...id('order_id'), ...same('status', 'units', 'created_at', 'updated_at') }],
    ['product', 'holds', { ...id('order_id', 'product_id'), ...same('quantity', 'sku', 'name', 'price_micros', 'currency', 'status') }],
    ['order', 'intents', { caller: 'caller', route: 'route', idempotency_key: numbered('idempotency_key'), ...id('order_id'), ...same('body_hash', 'status', 'fence', 'lease_until', 'answer_status', 'answer_body', 'created_at') }],
    ['order', 'orders', { ...id('id', 'user_id'), number: numbered('number'), ...same('status', 'cancel_reason', 'amount', 'currency', 'units', 'line_count', 'payment_token', 'version', 'placed_at', 'created_at', 'updated_at') }],
    ['order', 'order_lines', { ...id('order_id', 'product_id'), ...same('line_no', 'sku', 'name', 'quantity', 'unit_price_micros', 'total') }],
    ['payment', 'payments', { ...id('id', 'order_id', 'user_id'), ...same('amount', 'currency', 'status', 'reason', 'version', 'created_at', 'updated_at') }],
    ['payment', 'attempts', { ...id('id', 'payment_id', 'order_id', 'charge_id'), ...same('operation', 'token', 'amount', 'currency', 'status', 'tries', 'next_at', 'created_at') }],
    ['payment', 'ledger_entries', { ...id('set_id', 'order_id'), ...same('account', 'amount', 'currency', 'created_at') }],
    ['payment', 'ledger_sets', { ...id('id', 'attempt_id'), ...same('created_at') }],
    ['notification', 'mails', { ...id('id', 'order_id', 'user_id'), ...same('template', 'status', 'reason', 'tries', 'next_at', 'created_at') }],
    ...modules.map((module) => [module, 'inbox', { consumer: 'consumer', ...id('event_id'), received_at: 'received_at' }]),
];
// Sent already, as nearly all of a shop's are. The embedded bus has no such column: there the cursor
// says what was delivered, and copies behind it would be delivered again; so they are left out.
const outbox = { ...id('event_id', 'aggregate_id'), ...same('type', 'version', 'data', 'traceparent', 'occurred_at', 'sent_at') };

function statement(table, columns, copies) {
    const names = Object.keys(columns).join(', ');
    const values = Object.values(columns).join(', ');
    return `WITH RECURSIVE copies(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM copies WHERE k < ${copies})
INSERT INTO ${table} (${names}) SELECT ${values} FROM ${table}, copies;`;
}

const statementsOf = (module, copies, extra = []) => [...tables, ...extra]
    .filter(([of]) => of === module)
    .map(([, table, columns]) => statement(table, columns, copies))
    .join('\n');

/// The id that the copy `k` of a row has; 0 is the row itself.
export function idOf(original, k) {
    return k === 0 ? original : original.slice(0, 4) + String(k).padStart(4, '0') + original.slice(8);
}

/// The environment of a shop on copies of the databases, `factor` times as large. Nobody may be
/// connected to the originals.
export async function growServers(servers, factor) {
    const services = servicesOf({ SOUK_POSTGRES_ADMIN_URL: servers.admin });
    const prefix = `x${factor}_`;
    for (const module of modules) {
        const name = `souk_${prefix}${module}`;
        const owner = await sql(services, undefined,
            `SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'souk_${module}';`);
        await sql(services, undefined, `CREATE DATABASE ${name} TEMPLATE souk_${module} OWNER ${owner[0][0]};`);
        // Foreign keys and triggers held for the originals: their copies are as good.
        const rows = factor > 1 ? statementsOf(module, factor - 1, [['order', 'outbox', outbox], ['payment', 'outbox', outbox]]) : '';
        await sql(services, name, `SET session_replication_role = replica;\n${rows}`);
        await sql(services, name, 'VACUUM ANALYZE;');
    }
    const redis = new URL(servers.env.REDIS_URL);
    redis.pathname = `/${String(factor).length}`; // what one shop caches is not another's
    return { ...servers.env, REDIS_URL: redis.href, DATABASE_URL: servers.env.DATABASE_URL.replace(/(?<!\/)\/souk_(?=\{module\})/, `/souk_${prefix}`) };
}

/// The same of a data folder, whose shop has ended.
export async function growFolder(sandbox, from, to, factor) {
    cpSync(from, to, { recursive: true });
    for (const module of modules) {
        const file = join(to, module, `${module}.sqlite`);
        const script = factor > 1 ? `BEGIN;\n${statementsOf(module, factor - 1)}\nCOMMIT;\nANALYZE;\n` : '';
        const name = sandbox.path('grow.sql');
        writeFileSync(name, script);
        await sandbox.run(['sqlite3', '-bail', file, `.read ${name}`]);
    }
}

/// Unsent again: `count` events of orders that were announced long ago, which every consumer gets once
/// more and takes as what it has never seen.
export async function unsend(servers, env, count) {
    const services = servicesOf({ SOUK_POSTGRES_ADMIN_URL: servers.admin });
    const database = (module) => new URL(env.DATABASE_URL.replaceAll('{module}', module)).pathname.slice(1);
    for (const module of modules) await sql(services, database(module), 'DELETE FROM inbox;');
    const done = await sql(services, database('order'),
        `WITH chosen AS (SELECT seq FROM outbox ORDER BY seq LIMIT ${count}), changed AS (
UPDATE outbox SET sent_at = NULL WHERE seq IN (SELECT seq FROM chosen) RETURNING 1) SELECT count(*) FROM changed;`);
    return Number(done[0][0]);
}

export async function unsentOf(servers, env) {
    const services = servicesOf({ SOUK_POSTGRES_ADMIN_URL: servers.admin });
    const database = new URL(env.DATABASE_URL.replaceAll('{module}', 'order')).pathname.slice(1);
    return Number((await sql(services, database, 'SELECT count(*) FROM outbox WHERE sent_at IS NULL;'))[0][0]);
}
