// What is measured over HTTP. A row:
//   name, title
//   requests(data)  the lines that bench_load takes in turn
//   connections     64 unless said
//   expect          statuses that are no fault; any other one ends the measurement
//   limit           {stack: name} or one name for all: the limit measured beside it (limits.mjs)
//   parts           {stack: {part: limit}}: the limits of what it is a mixture of (sharesOf)
//   target          the ratio to that limit that is asked for, on `targetOn`
//   misses          true: each request must reach the database; false: hardly any may
// Search joins here with its feature: a row whose requests carry `q=`, its limit in limits.mjs.

// Seeded, so that each run asks the same.
function generator(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let x = Math.imul(state ^ (state >>> 15), state | 1);
        x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
        return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
    };
}

function shuffled(list, random) {
    const out = [...list];
    for (let i = out.length - 1; i > 0; --i) {
        const j = Math.floor(random() * (i + 1));
        [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
}

const bearer = (customer) => ({ Authorization: `Bearer ${customer.token}` });
const json = { 'Content-Type': 'application/json' };
const get = (path, headers = {}) => ({ method: 'GET', path, headers });
const detail = (id) => get(`/api/products/${id}`);

function order(customer, products) {
    const items = products.map((product_id) => ({ product_id, quantity: 1 }));
    return {
        method: 'POST',
        path: '/api/orders',
        headers: { ...bearer(customer), ...json, 'Idempotency-Key': 'bench-{n}' },
        body: JSON.stringify({ items, payment: { token: 'tok_approve' } }),
    };
}

// As popular as in the trade ("Online Retail", half a year; the README says how it was counted): of
// 3,500 products one's share of the lines falls with its rank as exp(-6.5 rank / 3500).
const traded = 3500;
const skew = 6.5;
function popular(data, random) {
    const rank = Math.floor((-Math.log(1 - random() * (1 - Math.exp(-skew))) / skew) * traded);
    return data.products[rank];
}

function basket(data, random, lines) {
    const chosen = new Set();
    while (chosen.size < lines) chosen.add(popular(data, random));
    return [...chosen];
}

export function orders(data, lines, count = 4000) {
    const random = generator(lines);
    return Array.from({ length: count }, (_, i) =>
        order(data.customers[i % data.customers.length], basket(data, random, lines)),
    );
}

// Lines of the trade's 7,409 sales, at every twentieth of them.
const linesOfSales = [1, 1, 2, 3, 5, 6, 8, 9, 11, 13, 14, 16, 18, 20, 23, 26, 30, 35, 44, 58];

// The trade tells what is sold: which products, how many lines an order. What customers look at
// before they buy it does not tell: 100 requests an order are our assumption, mostly pages and
// products. Signed in are those about to buy.
function mixed(data) {
    const random = generator(7);
    const customer = () => data.customers[Math.floor(random() * data.customers.length)];
    const one = (at) => {
        if (at < 0.01) {
            const lines = linesOfSales[Math.floor(random() * linesOfSales.length)];
            return order(customer(), basket(data, random, lines));
        }
        if (at < 0.02) return get('/api/orders?limit=10', bearer(customer()));
        if (at < 0.05) return get('/api/users/me', bearer(customer()));
        if (at < 0.4) return get('/api/products?limit=20');
        if (at < 0.45)
            return get(
                `/api/products?limit=20&cursor=${data.cursors[Math.floor(random() * data.cursors.length)]}`,
            );
        return detail(popular(data, random));
    };
    return Array.from({ length: 10_000 }, () => one(random()));
}

const partOf = ({ method, path }) =>
    method === 'POST' ? 'order' : path.includes('cursor=') ? 'page' : 'cached';

/// What part of the lines is what: an order, a page that is not cached, or what needs no more than
/// bytes; and how many lines an order has.
export function sharesOf(lines) {
    const of = (part) => lines.filter((one) => partOf(one) === part);
    const share = (part) => of(part).length / lines.length;
    const items = of('order').reduce((sum, one) => sum + JSON.parse(one.body).items.length, 0);
    return {
        cached: share('cached'),
        page: share('page'),
        order: share('order'),
        lines: items / of('order').length,
    };
}

const partsOnServers = {
    cached: 'bare Beast',
    page: 'Beast + libpq',
    order: 'pgbench order, 20 lines',
};

const whole = ['embedded', 'servers'];

function ordersOf(lines) {
    const limit = `pgbench order, ${lines} lines`;
    return {
        name: `order-${lines}`,
        title: `order of ${lines} lines, 201`,
        expect: '201',
        orders: true,
        requests: (data) => orders(data, lines),
        limit: { servers: limit, split: limit },
        target: 0.5,
        targetOn: ['servers'],
    };
}

export const workloads = [
    {
        name: 'health',
        title: 'health',
        requests: () => [get('/health')],
        limit: 'bare Beast',
        target: 1.0,
        targetOn: whole,
        nginx: true,
        node: 'health',
    },
    {
        name: 'list-cached',
        title: 'list of 20, cached',
        requests: () => [get('/api/products?limit=20')],
        limit: 'bare Beast',
        target: 1.0,
        targetOn: whole,
        nginx: true,
        misses: false,
        node: 'list',
    },
    {
        name: 'detail-cached',
        title: 'detail, cached',
        requests: (data) => [detail(data.products[0])],
        limit: 'bare Beast',
        target: 1.0,
        targetOn: whole,
        nginx: true,
        misses: false,
        node: 'detail',
    },
    {
        name: 'list',
        title: 'list of 20, not cached',
        requests: (data) =>
            data.cursors.map((cursor) => get(`/api/products?limit=20&cursor=${cursor}`)),
        limit: { servers: 'Beast + libpq', split: 'Beast + libpq' },
        target: 1.2,
        targetOn: ['servers'],
        misses: true,
        node: 'list-uncached',
    },
    {
        name: 'detail',
        title: 'detail, not cached',
        requests: (data) => shuffled(data.products, generator(1)).map(detail),
        limit: { servers: 'pgbench -S', split: 'pgbench -S' },
        target: 0.75,
        targetOn: ['servers'],
        misses: true,
        node: 'detail-uncached',
    },
    {
        name: 'me',
        title: 'signed-in customer',
        requests: (data) => data.customers.map((one) => get('/api/users/me', bearer(one))),
        limit: 'bare Beast',
    },
    {
        name: 'login',
        title: 'login',
        connections: 16,
        requests: (data) =>
            data.accounts.map(({ email, password }) => ({
                method: 'POST',
                path: '/api/users/login',
                headers: json,
                body: JSON.stringify({ email, password }),
            })),
        limit: 'bare hash',
        target: 0.9,
        targetOn: [...whole, 'split'],
    },
    ordersOf(2),
    ordersOf(20),
    {
        name: 'mixed',
        title: 'mixed, as in the trade',
        expect: '200,201',
        orders: true,
        requests: mixed,
        limit: 'its parts',
        parts: {
            embedded: { cached: 'bare Beast', page: 'bare Beast', order: 'SQLite commits' },
            servers: partsOnServers,
            split: partsOnServers,
        },
    },
];

export function limitOf(workload, stack) {
    return typeof workload.limit === 'string' ? workload.limit : workload.limit?.[stack];
}

/// Measured in another run, with another program: figures of the guide's stack in Node on this kind
/// of machine (2 cores), as issue 5 of this project gives them; and the multiple that souk must
/// reach.
export const nodeStack = {
    source: "the guide's own stack in Node, measured in another run (issue 5)",
    rows: [
        { row: 'health', rate: 2461, multiple: 15 },
        { row: 'list', rate: 895, multiple: 25 },
        { row: 'detail', rate: 1283, multiple: 25 },
        { row: 'list-uncached', rate: 895, multiple: 10 },
        { row: 'detail-uncached', rate: 1283, multiple: 10 },
        { row: 'paid', rate: 203, multiple: 6 },
    ],
};
