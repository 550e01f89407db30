// Where requests are counted: the whole shop embedded under callgrind, and a gateway under
// callgrind with its modules beside it; the whole shop on PostgreSQL is in budgets_postgres.mjs.
// Each gives for a request a list of counts.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { Callgrind, keepProfiles } from './budgets_callgrind.mjs';
import { Shop, quiet, sleep } from './budgets_shop.mjs';

const products = 100;
const password = 'a long password of the guard';

// --- what there is in the shop ---

function catalogue() {
    return Array.from({ length: products }, (_, i) => ({
        sku: `GUARD-${String(i).padStart(4, '0')}`, name: `Article ${String(i).padStart(4, '0')}`,
        currency: 'GBP', unit_amount_decimal: '12.50', stock: 1_000_000 }));
}

// Products, a customer who is signed in, and what is asked again and again.
export async function stock(shop, connection) {
    const operator = shop.control();
    await operator.ask({ method: 'POST', path: '/api/products/import',
        body: { items: catalogue() } });
    const page = await operator.json({ path: '/api/products?limit=100' });
    operator.close();
    const customer = await connection.json({ method: 'POST', path: '/api/users/register',
        body: { email: 'ann@example.com', name: 'Ann', password }, expect: 201 });
    return { ids: page.data.map((product) => product.id),
        ann: { Authorization: `Bearer ${customer.access_token}` } };
}

// Throws unless orders like those that are counted end as paid: one that is declined costs less.
export async function needPaid(shop, connection, world) {
    await orderUntilMailed(shop, connection, orderOf(1, world));
    const page = await connection.json({ path: '/api/orders?limit=1', fields: world.ann });
    const [{ status }] = page.data;
    if (status !== 'paid') throw new Error(`${shop.name}: an order ended as '${status}'`);
}

let keys = 0;
const run = randomBytes(8).toString('hex');

export function orderOf(lines, { ids, ann }) {
    keys += 1;
    return { method: 'POST', path: '/api/orders', expect: 201,
        fields: { ...ann, 'Idempotency-Key': `${run}-${String(keys).padStart(8, '0')}` },
        body: { items: ids.slice(0, lines).map((id) => ({ product_id: id, quantity: 1 })),
            payment: { token: 'tok_approve' } } };
}

// An order until it is paid, its mail written and all at rest again: so a batch is always of one,
// and the counts do not depend on how fast the machine is.
export async function orderUntilMailed(shop, connection, request) {
    const mails = shop.mails();
    await connection.ask(request);
    for (const end = Date.now() + 30_000; shop.mails() === mails; await sleep(5))
        if (Date.now() > end) throw new Error(`${shop.name}: no mail for an order within 30 s`);
    await quiet(shop.pid);
}

// --- what the parts of a split shop trust each other by ---

const modules = ['user', 'product', 'order', 'payment', 'notification'];

function secrets(souk, dir) {
    const certificates = join(dir, 'certs');
    execFileSync(souk, ['dev-certs', certificates], { stdio: 'ignore' });
    const key = join(dir, 'peer.key');
    writeFileSync(key, randomBytes(32).toString('base64url'), { mode: 0o600 });
    const common = { SOUK__INTERNAL__SHARED_KEY_FILE: key };
    return {
        gateway: { ...common,
            SOUK__INTERNAL__IDENTITY_KEY_FILE: join(certificates, 'identity.key') },
        module: { ...common,
            SOUK__INTERNAL__IDENTITY_PUBLIC_FILE: join(certificates, 'identity.pub') },
    };
}

function freePort() {
    return new Promise((found) => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => found(port));
        });
    });
}

// --- counting ---

export const perRequest = (counts, size) =>
    Object.fromEntries(Object.entries(counts).map(([what, count]) => [what, count / size]));

// What each of `count` requests costs; the profile of the cheapest stays.
async function samples({ callgrind, name, ask, count, warm, keep, metrics }) {
    for (let i = 0; i < warm; ++i) await ask();
    callgrind.take();
    const out = [];
    let cheapest;
    for (let i = 0; i < count; ++i) {
        await ask();
        const { sum, profiles } = callgrind.counts();
        out.push(Object.fromEntries(metrics.map((what) => [what, sum[what]])));
        if (cheapest === undefined || sum.instructions < cheapest.sum.instructions)
            cheapest = { sum, profiles };
    }
    keepProfiles(cheapest.profiles, join(keep, `${name}.callgrind`));
    return out;
}

export async function embedded({ souk, dir, keep, rounds, wanted, progress }) {
    progress('the whole shop, embedded, under callgrind');
    const callgrind = new Callgrind(dir);
    const shop = new Shop({ souk, dir, name: 'embedded', wrap: callgrind.wrap,
        args: ['--port', '0'] });
    const out = {};
    try {
        await shop.started();
        const connection = shop.open();
        const world = await stock(shop, connection);
        const get = (path, fields) => () => connection.ask({ path, fields });
        const common = { callgrind, keep, warm: 6, count: 8 * rounds,
            metrics: ['instructions', 'allocations'] };
        const sample = async (name, ask, options) => {
            if (!wanted(name)) return;
            progress(name);
            out[name] = await samples({ ...common, name, ask, ...options });
        };
        await sample('health', get('/health'));
        await sample('detail_cached', get(`/api/products/${world.ids[0]}`));
        await sample('list_cached', get('/api/products?limit=20'));
        await sample('me', get('/api/users/me', world.ann),
            { metrics: ['instructions', 'allocations', 'statements'] });
        if (wanted('order_embedded')) await needPaid(shop, connection, world);
        await sample('order_embedded', () => orderUntilMailed(shop, connection, orderOf(2, world)),
            { count: 3 * rounds,
                metrics: ['instructions', 'allocations', 'statements', 'syncs'] });
        connection.close();
    } finally {
        await shop.stop();
    }
    return out;
}

// What the gateway's own process does to send a request on to a module that stands on `env`.
export async function split({ souk, dir, keep, rounds, wanted, progress, standing }) {
    const name = 'detail_forwarded';
    if (!wanted(name)) return {};
    progress(`${name}: a gateway under callgrind, its modules beside it`);
    const callgrind = new Callgrind(dir);
    const files = secrets(souk, dir);
    const shops = [];
    const start = async (name, options) => {
        const shop = new Shop({ souk, dir, name, ...options });
        shops.push(shop);
        return shop.started();
    };
    try {
        const peers = Object.fromEntries(modules.map((module) => [`SOUK__PEERS__${module}`
            .toUpperCase(), 'http://127.0.0.1:1']));  // of the others nothing is asked
        for (const module of ['user', 'product']) {
            const port = await freePort();
            await start(module, { env: { ...standing.env, ...files.module },
                args: [`--modules=${module}`, '--port', '0', '--set', `internal.port=${port}`] });
            peers[`SOUK__PEERS__${module.toUpperCase()}`] = `http://127.0.0.1:${port}`;
        }
        const gateway = await start('gateway', {
            env: { ...standing.env, ...peers, ...files.gateway },
            wrap: callgrind.wrap, args: ['--modules=gateway', '--port', '0'] });
        const connection = gateway.open();
        const ask = () => connection.ask({ path: `/api/products/${standing.ids[0]}` });
        const counts = await samples({ callgrind, name, ask, warm: 6, count: 8 * rounds, keep,
            metrics: ['instructions', 'allocations'] });
        connection.close();
        return { [name]: counts };
    } finally {
        for (const shop of shops.reverse()) await shop.stop();
    }
}
