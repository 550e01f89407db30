// What a shop has before it is asked: products in thousands, customers, and what requests need of
// them. Everything comes through the public API, so it is what customers find.
import { readFileSync } from 'node:fs';

import { Fault } from './sandbox.mjs';
import { operatorOf } from './stacks.mjs';

// More than are read in 1.2 s: each is asked for again only when the cache (1 s, ±10%) has
// forgotten it.
export const productCount = 100_000;
const importSize = 500;
const customerCount = 16;
// The shop takes 20 sign-ins a minute to one account, so that nobody guesses its password.
const accountCount = 240;
const password = 'a long bench password';
const stock = 1_000_000;

export async function ask(shop, method, path, { token, body, key, expect = 200 } = {}) {
    const headers = { 'Content-Type': 'application/json' };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (key) headers['Idempotency-Key'] = key;
    const answer = await fetch(shop.url + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (answer.status !== expect)
        throw new Fault(`${shop.name}: ${method} ${path} answered ${answer.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
}

export async function importerOf(shop) {
    const file = shop.sandbox.path(`${shop.name}-importer.json`);
    const { args, env } = operatorOf(shop);
    await shop.sandbox.run(
        [
            shop.souk,
            'seed',
            '--account',
            'importer@bench.example',
            '--role',
            'importer',
            '--credentials',
            file,
            ...args,
        ],
        { env },
    );
    return { file, ...JSON.parse(readFileSync(file, 'utf8')) };
}

const categories = ['kitchen', 'home', 'party', 'bags', 'stationery', 'games'];

function productOf(n) {
    return {
        sku: `BENCH-${String(n).padStart(6, '0')}`,
        name: `Gift ${n} of the bench`,
        description: 'Recycled, in six designs, wipes clean; made for the one who has everything',
        category: categories[n % categories.length],
        currency: 'GBP',
        unit_amount_decimal: String(195 + (n % 37) * 50),
        stock,
    };
}

async function importProducts(shop, token, count) {
    const ids = [];
    for (let from = 0; from < count; from += importSize) {
        const items = Array.from({ length: importSize }, (_, i) => productOf(from + i));
        const answer = await ask(shop, 'POST', '/api/products/import', { token, body: { items } });
        ids.push(...answer.data.map((one) => one.id));
    }
    return ids;
}

async function registered(shop, n) {
    const email = `customer${n}@bench.example`;
    const body = { email, password, name: `Customer ${n}` };
    const answer = await ask(shop, 'POST', '/api/users/register', { body, expect: 201 });
    return { email, password, token: answer.access_token };
}

/// As many at a time as there are cores: each costs a hash.
async function registeredAll(shop, count) {
    const accounts = [];
    let next = 0;
    const work = async () => {
        while (next < count) {
            const n = next++;
            accounts[n] = await registered(shop, n);
        }
    };
    await Promise.all([work(), work()]);
    return accounts;
}

async function cursorsOf(shop, count) {
    const cursors = [];
    for (let cursor = ''; cursors.length < count;) {
        const page = await ask(
            shop,
            'GET',
            `/api/products?limit=20${cursor && `&cursor=${cursor}`}`,
        );
        cursor = page.next_cursor;
        cursors.push(cursor);
    }
    return cursors;
}

/// {products: [id], cursors, accounts: [{email, password, token}], customers: some of them, importer}
export async function fill(shop, { products: count = productCount, pages = 400 } = {}) {
    const { args, env } = operatorOf(shop);
    await shop.sandbox.run([shop.souk, 'seed', '--demo', ...args], { env });
    const importer = await importerOf(shop);
    const login = await ask(shop, 'POST', '/api/users/login', {
        body: { email: importer.email, password: importer.password },
    });
    const products = await importProducts(shop, login.access_token, count);
    const accounts = await registeredAll(shop, accountCount);
    const customers = accounts.slice(0, customerCount);
    return { products, customers, accounts, importer, cursors: await cursorsOf(shop, pages) };
}
