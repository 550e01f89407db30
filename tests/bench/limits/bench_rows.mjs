// What one order of the shop leaves behind, table by table, and the check that an order of
// pgbench's leaves the same: a limit that did less than the shop would be none.
import { setTimeout } from 'node:timers/promises';

import { perform, sql } from './pgbench.mjs';

const clients = 4;
// Of the history of a shop, so that plans are made for tables with rows; an empty one is read
// whole.
const history = 2000;

const where = (condition) => `COUNT(*) FILTER (WHERE ${condition})`;

// What a table is counted by, so that a lost UPDATE is noticed too.
/// After the answer 201, before any relay or consumer.
export const placedRows = (lines) => ({
    'order.intents': { 'COUNT(*)': 1, [where("status = 'final' AND answer_status = 201")]: 1 },
    'order.orders': { 'COUNT(*)': 1, [where("status = 'pending'")]: 1 },
    'order.order_lines': { 'COUNT(*)': lines },
    'order.outbox': { 'COUNT(*)': 1, 'COUNT(sent_at)': 0 },
    'order.inbox': { 'COUNT(*)': 0 },
    'product.reservations': { 'COUNT(*)': 1, [where("status = 'held'")]: 1 },
    'product.holds': { 'COUNT(*)': lines },
    'product.stock': { 'SUM(held)': lines, 'SUM(sold)': 0, 'SUM(received - available)': lines },
    'product.inbox': { 'COUNT(*)': 0 },
    'payment.payments': { 'COUNT(*)': 0 },
    'notification.mails': { 'COUNT(*)': 0 },
});

/// When the mail has gone.
export const sagaRows = (lines) => ({
    'order.intents': placedRows(lines)['order.intents'],
    'order.orders': { 'COUNT(*)': 1, [where("status = 'paid' AND version = 2")]: 1 },
    'order.order_lines': { 'COUNT(*)': lines },
    'order.outbox': { 'COUNT(*)': 2, 'COUNT(sent_at)': 2 },
    'order.inbox': { 'COUNT(*)': 1 },
    'product.reservations': { 'COUNT(*)': 1, [where("status = 'committed'")]: 1 },
    'product.holds': { 'COUNT(*)': lines },
    'product.stock': { 'SUM(held)': 0, 'SUM(sold)': lines, 'SUM(received - available)': lines },
    'product.settling': { 'COUNT(*)': 0 },
    'product.outbox': { 'COUNT(*)': 0 },
    'product.inbox': { 'COUNT(*)': 1 },
    'payment.fences': { 'COUNT(*)': 1 },
    'payment.payments': { 'COUNT(*)': 1, [where("status = 'captured' AND version = 1")]: 1 },
    'payment.attempts': { 'COUNT(*)': 1, [where("status = 'captured'")]: 1, 'SUM(tries)': 1 },
    'payment.ledger_entries': { 'COUNT(*)': 2 },
    'payment.ledger_sets': { 'COUNT(*)': 1 },
    'payment.outbox': { 'COUNT(*)': 1, 'COUNT(sent_at)': 1 },
    'payment.inbox': { 'COUNT(*)': 1 },
    'notification.mails': { 'COUNT(*)': 1, [where("status = 'sent'")]: 1, 'SUM(tries)': 1 },
    'notification.inbox': { 'COUNT(*)': 1 },
    'notification.outbox': { 'COUNT(*)': 0 },
});

/// Throws, and names each table, where so many orders have not left so many times what one leaves.
/// `read(table, text)` gives the one row of a query of that table.
export async function compare(read, leaves, count) {
    const faults = [];
    for (const [table, measures] of Object.entries(leaves)) {
        const columns = Object.keys(measures).map((what) => `COALESCE(${what}, 0)`);
        const found = await read(table, columns.join(', '));
        Object.entries(measures).forEach(([what, one], i) => {
            if (Number(found[i]) !== one * count)
                faults.push(`${table}: ${what} is ${found[i]}, not ${one * count}`);
        });
    }
    if (faults.length > 0) throw new Error(`after ${count} orders\n  ${faults.join('\n  ')}`);
}

// Commits of one order, reads included: what is done in one transaction instead of two is cheaper.
export const placedCommits = 3;
// claim, reserve, place; a look and a mark for each of three events; accept, take, charged, paid,
// settled, mail; take, two reads and the mark of the mail.
export const sagaCommits = 19;

// A session counts its commits in when it ends, which may be after its program has.
async function sessionsEnded(services, database) {
    const query = `SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = '${database}' AND backend_type = 'client backend';`;
    for (let tries = 0; tries < 500; ++tries) {
        if ((await sql(services, undefined, query))[0][0] === '0') return;
        await setTimeout(10);
    }
    throw new Error(`sessions of ${database} do not end`);
}

async function commitsOf(services, database) {
    await sessionsEnded(services, database);
    const query = `SELECT xact_commit FROM pg_stat_database WHERE datname = '${database}';`;
    return Number((await sql(services, undefined, query))[0][0]);
}

/// Places some orders as the limit does, and compares. `next()` gives {script, variables} of a run.
export async function checkRows(services, database, { leaves, commits, next }) {
    let placed = 0;
    const place = async (count) => {
        const before = await commitsOf(services, database);
        await perform(services, database, { clients, count, ...next() });
        placed += clients * count;
        return (await commitsOf(services, database)) - before;
    };
    // Connections and their preparations commit as well, in both runs alike; so does autovacuum, in
    // hardly any: asked again.
    let made;
    for (let tries = 0; tries < 3 && made !== commits; ++tries)
        made = (-(await place(1)) + (await place(5))) / (4 * clients);
    const read = async (table, columns) =>
        (await sql(services, database, `SELECT ${columns} FROM shop_${table};`))[0];
    await compare(read, leaves, placed);
    if (made !== commits) throw new Error(`an order makes ${made} commits, not ${commits}`);
}

/// A shop that has sold before.
export async function fill(services, database, { script, variables }) {
    const count = history / clients;
    await perform(services, database, { clients, count, script, variables, lazy: true });
    await sql(services, database, 'VACUUM ANALYZE;');
}

/// What checkRows() does, of a shop's own databases, in which so many orders were placed and
/// nothing else: that what is expected here is what the shop does.
export async function checkShop(services, leaves, count) {
    const read = async (table, columns) => {
        const [module, name] = table.split('.');
        return (await sql(services, `souk_${module}`, `SELECT ${columns} FROM ${name};`))[0];
    };
    await compare(read, leaves, count);
}
