// One database that is to pgbench what the modules' databases are to the shop: the migrations of
// each module in a schema of its own, since a session of pgbench has one database only. Made from
// the files that `souk migrate` embeds, so a new index or constraint is in the limit as well.
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

import { sql } from './pgbench.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const modules = ['user', 'product', 'order', 'payment', 'notification'];

export const customers = 1000;
// As many products as half a year of the trade has ("Online Retail", December to May: 3,514).
export const products = 3500;
// How a product's share of the lines falls with its rank: exp(-skew * rank / products). By 6.5 two
// lines meet in one product as often as in the trade: the sum of the squared shares is 0.00093
// there and here, and so is the contention for rows. The best fifth sells 73% here, 65% there.
const skew = 6.5;

// Ids are as long as the shop's: a prefix and 26 characters.
export const productPrefix = 'prd_01m853k6v5ey3serj';
export const customerPrefix = 'usr_01m853kw38e21t01z';
// Nine digits, added to the two above.
const firstNumber = 100000000;

/// The lines of a migration that are for PostgreSQL.
function postgresPart(text) {
    const lines = [];
    let wanted = true;
    for (const line of text.split('\n')) {
        const only = /^-- only: (\w+)/.exec(line);
        if (only) wanted = only[1] === 'postgres';
        else if (line.startsWith('-- both')) wanted = true;
        else if (wanted) lines.push(line);
    }
    return lines.join('\n');
}

async function migrations(folder) {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    return texts.map(postgresPart).join('\n');
}

async function schemas() {
    const kernel = await migrations(join(root, 'src/database/migrations'));
    const parts = [];
    for (const module of modules) {
        const own = await migrations(join(root, 'modules', module, 'migrations'));
        parts.push(`CREATE SCHEMA shop_${module}; SET search_path TO shop_${module};`, kernel, own);
    }
    return parts.join('\n');
}

// Enough stock for any run; both relays hold their lease, as they do while a shop runs.
const rows = `
INSERT INTO shop_user.users (id, email, name, role, password_hash, created_at, updated_at)
SELECT '${customerPrefix}' || n, 'customer' || n || '@example.com', 'Customer ' || n, 'customer',
    repeat('x', 97), n, n FROM generate_series(${firstNumber}, ${firstNumber + customers - 1}) n;
INSERT INTO shop_product.products (id, sku, name, description, category, currency, price_micros,
    version, created_at, updated_at)
SELECT '${productPrefix}' || n, 'SKU-' || n, 'Gift number ' || n || ' of all',
    repeat('A gift for every day. ', 5), 'gifts', 'GBP', 895000000, 1, n, n
FROM generate_series(${firstNumber}, ${firstNumber + products - 1}) n;
INSERT INTO shop_product.stock (product_id, received, available, held, sold)
SELECT id, 1000000000, 1000000000, 0, 0 FROM shop_product.products;
INSERT INTO shop_order.bus_lease VALUES ('relay/order', 'apksKrhZ8ffL6p_x', 1, 0);
INSERT INTO shop_payment.bus_lease VALUES ('relay/payment', 'apksKrhZ8ffL6p_x', 1, 0);
VACUUM ANALYZE shop_user.users, shop_product.products, shop_product.stock;
`;

/// The triggers' functions find their tables by the search path; the scripts name the schema. The
/// costs are those of the shop's sessions (src/database/postgres). Plans are made once: the shop's
/// statements get generic ones after five executions, and a run shall not be the warming of its
/// connections.
export async function createShop(services, database) {
    const path = modules.map((module) => `shop_${module}`).join(', ');
    const sessions = [
        `search_path TO ${path}`,
        'random_page_cost TO 1.1',
        'plan_cache_mode TO force_generic_plan',
    ];
    const settings = sessions.map((setting) => `ALTER DATABASE ${database} SET ${setting};`);
    await sql(services, undefined, settings.join('\n'));
    await sql(services, database, `${await schemas()}\nRESET search_path;\n${rows}`);
}

// The rank below which a part (0 to 1) of all lines is.
const rankOf = (part) =>
    Math.floor((-Math.log(1 - part * (1 - Math.exp(-skew))) / skew) * products);

/// A script for so many lines: pgbench has neither loops nor text variables.
export async function rendered(file, lines) {
    const script = await readFile(new URL(file, import.meta.url), 'utf8');
    return script
        .replaceAll('{{draws}}', draws(lines))
        .replaceAll('{{ids}}', drawnIds(lines))
        .replaceAll('{{customer}}', customerPrefix);
}

/// Draws :p1 to :pN, ascending and all different: line i has the i-th N-th of the popularity. So
/// each product has its share, and no order has one twice.
function draws(lines) {
    const out = [];
    for (let i = 0; i < lines; ++i) {
        const from = rankOf(i / lines);
        const to = i + 1 === lines ? products - 1 : rankOf((i + 1) / lines) - 1;
        const bounds = `${firstNumber + from}, ${firstNumber + to}`;
        const parameter = ((skew * (to - from + 1)) / products).toFixed(6);
        out.push(`\\set p${i + 1} random_exponential(${bounds}, ${parameter})`);
    }
    return out.join('\n');
}

/// An array of the ids drawn.
function drawnIds(lines) {
    const ids = Array.from({ length: lines }, (_, i) => `'${productPrefix}' || :p${i + 1}`);
    return `ARRAY[${ids.join(', ')}]`;
}

function answerOf(lines) {
    const item = {
        product_id: `${productPrefix}${firstNumber}`,
        sku: 'SKU-100000000',
        name: 'Gift number 100000000 of all',
        quantity: 1,
        unit_amount: 895,
        total: 895,
    };
    return JSON.stringify({
        id: 'ord_01m853pafyep6r98fgzq8awq2f',
        number: 'SO-261123-A5JFHP44',
        status: 'pending',
        total: { amount: 895 * lines, currency: 'GBP' },
        // Different names, as in a real order: equal ones would be compressed away.
        items: Array.from({ length: lines }, (_, i) => ({
            ...item,
            product_id: `${productPrefix}${firstNumber + 97 * i}`,
            sku: `SKU-${firstNumber + 97 * i}`,
            name: `Gift number ${firstNumber + 97 * i} of all`,
        })),
        placed_at: '2026-11-23T21:06:19.268Z',
    });
}

const repeated = (lines, value) => `{${Array.from({ length: lines }, () => value).join(',')}}`;

/// What a program sends with its statements; pgbench cannot compose text, so it is the same in
/// every order, as long as the shop's.
export function texts(lines) {
    const order = 'ord_01m853pafyep6r98fgzq8awq2f';
    const user = `${customerPrefix}${firstNumber}`;
    const number = 'SO-261123-A5JFHP44';
    const amount = 895 * lines;
    const paid = { order_id: order, number, user_id: user, amount, currency: 'GBP' };
    const captured = { amount, currency: 'GBP', order_id: order, payment_id: order };
    return {
        lines,
        amount,
        hash: '3ce8c449259b14b85b5727eda913ed9a84fe1f3d6378e2323bdcdc24d1f00dc7',
        answer: answerOf(lines),
        traceparent: '00-c02d5308e20c9253de7a117992e85772-adfd428827ff8021-01',
        placed_event: JSON.stringify({ ...paid, payment_token: 'tok_approve' }),
        captured_event: JSON.stringify(captured),
        paid_event: JSON.stringify(paid),
        skus: repeated(lines, 'SKU-100000000'),
        names: repeated(lines, '"Gift number 100000000 of all"'),
        quantities: repeated(lines, 1),
        prices: repeated(lines, 895000000),
        totals: repeated(lines, 895),
    };
}
