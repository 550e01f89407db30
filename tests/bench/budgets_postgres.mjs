// Statements and commits of a request on PostgreSQL: databases of its own whose statements
// PostgreSQL writes to its log (pg_stat_statements would need a server of its own), and transaction
// ids, of which each commit that has written takes one. Beside it stand RabbitMQ and Redis.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Shop, quiet } from './budgets_shop.mjs';
import { listFaults, sagaFaults } from './same_sql.mjs';
import { needPaid, orderOf, orderUntilMailed, perRequest, stock } from './budgets_worlds.mjs';

const modules = ['user', 'product', 'order', 'payment', 'notification'];
const script = join(dirname(fileURLToPath(import.meta.url)), '../support/services.sh');

// Those of the test run where there are any, else some of its own.
export class Servers {
    constructor(dir) {
        const running = process.env.SOUK_TEST_SERVICES;
        this.own = !running;
        this.dir = running || join(dir, 'services');
        if (this.own) this.script('start', '--owner', String(process.pid), this.dir);
        this.env = this.readEnv();
        this.log = openSync(join(this.dir, 'servers/postgres/log'), 'r');
        this.name = `guard${randomBytes(4).toString('hex')}`;
    }

    script(...args) {
        const ran = spawnSync(script, args, { encoding: 'utf8' });
        if (ran.status !== 0) throw new Error(`services.sh ${args[0]}: ${ran.stderr}${ran.stdout}`);
    }

    readEnv() {
        const text = readFileSync(join(this.dir, 'env'), 'utf8');
        const lines = [...text.matchAll(/^export (\w+)='(.*)'$/gm)];
        return Object.fromEntries(lines.map(([, name, value]) => [name, value]));
    }

    sql(text) {
        return execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1',
            this.env.SOUK_POSTGRES_ADMIN_URL], { input: text, encoding: 'utf8' });
    }

    // What a shop of its own needs in its environment.
    freshShop() {
        for (const module of modules) {
            const database = `${this.name}_${module}`;
            this.sql(`CREATE DATABASE ${database} OWNER souk_${module};
                REVOKE ALL ON DATABASE ${database} FROM PUBLIC;
                ALTER DATABASE ${database} SET log_statement = 'all';`);
        }
        const url = this.env.DATABASE_URL;
        return { DATABASE_URL: `${url.slice(0, url.lastIndexOf('/'))}/${this.name}_{module}`,
            RABBITMQ_URL: this.env.RABBITMQ_URL, SOUK__RABBITMQ__PREFIX: this.name,
            REDIS_URL: this.env.REDIS_URL, SOUK__REDIS__PREFIX: `${this.name}:` };
    }

    // Ids of transactions are taken by those that write only.
    writes() {
        return Number(this.sql('SELECT pg_snapshot_xmax(pg_current_snapshot())'));
    }

    logEnd() {
        return fstatSync(this.log).size;
    }

    // The tables of its databases, by module.
    tables() {
        const names = (module) => execFileSync('psql', ['-X', '-q', '-A', '-t', '-v',
            'ON_ERROR_STOP=1', this.adminOf(module)], { encoding: 'utf8',
            input: "SELECT tablename FROM pg_tables WHERE schemaname = 'public'" });
        return Object.fromEntries(modules.map((module) =>
            [module, new Set(names(module).split('\n').filter((name) => name !== ''))]));
    }

    adminOf(module) {
        const url = new URL(this.env.SOUK_POSTGRES_ADMIN_URL);
        url.pathname = `/${this.name}_${module}`;
        return url.href;
    }

    // The statements of its databases since `from`, as PostgreSQL ran them.
    statements(from) {
        const bytes = Buffer.alloc(this.logEnd() - from);
        readSync(this.log, bytes, 0, bytes.length, from);
        const kind = '(?:statement|execute [^:]*)';
        const line = new RegExp(`@${this.name}_(\\w+) LOG:  ${kind}: (.*)`, 'g');
        const found = [...bytes.toString('utf8').matchAll(line)];
        return found.map(([, module, sql]) => `${module}: ${sql}`);
    }

    remove() {
        if (this.removed) return;
        this.removed = true;
        closeSync(this.log);
        if (this.own) {
            this.script('remove', this.dir);
            return;
        }
        for (const module of modules)
            this.sql(`DROP DATABASE IF EXISTS ${this.name}_${module} WITH (FORCE);`);
    }
}

// [statement, how often a request runs it], most often first.
function tally(statements, size) {
    const counts = new Map();
    for (const one of statements) counts.set(one, (counts.get(one) ?? 0) + 1 / size);
    return [...counts].sort((a, b) => b[1] - a[1]);
}

const asText = (tallied) => tallied.map(([text, count]) => `${count.toFixed(2).padStart(8)}  ${text}\n`)
    .join('');

// What nearly every request ran, as {module, text}: not what the clock brought.
const ranByAll = (tallied) => tallied.filter(([, count]) => count >= 0.9)
    .map(([text]) => /^(?<module>\w+): (?<text>.*)$/.exec(text).groups);

// Counts of `rounds` rounds; what ran in the last one is kept as text, most often first.
async function counted({ servers, shop, name, ask, size, rounds, keep }) {
    for (let i = 0; i < 3; ++i) await ask();
    const out = { rounds: [] };
    for (let round = 0; round < rounds; ++round) {
        await quiet(shop.pid);
        const from = servers.logEnd();
        const writes = servers.writes();
        for (let i = 0; i < size; ++i) await ask();
        await quiet(shop.pid);
        const statements = servers.statements(from);
        out.rounds.push(perRequest(
            { statements: statements.length, commits: servers.writes() - writes }, size));
        const tallied = tally(statements, size);
        out.ran = ranByAll(tallied);
        writeFileSync(join(keep, `${name}.statements`), asText(tallied));
    }
    return out;
}

// `standing`: what of it a split shop can stand on afterwards; `copies`: what of the limits' SQL is
// not the shop's any more.
export async function postgres({ souk, dir, keep, rounds, wanted, progress, servers }) {
    progress('the whole shop on PostgreSQL');
    const env = servers.freshShop();
    const shop = new Shop({ souk, dir, name: 'postgres', env, args: ['--port', '0'] });
    const out = {};
    const ran = {};
    try {
        await shop.started();
        const connection = shop.open();
        const world = await stock(shop, connection);
        const count = async (name, ask, size) => {
            if (!wanted(name)) return;
            progress(name);
            const found = await counted({ servers, shop, name, ask, size, rounds, keep });
            out[name] = found.rounds;
            ran[name] = found.ran;
        };
        const get = (path, fields) => () => connection.ask({ path, fields });
        // Not in the cache: another product each time, and a page that is not the first.
        let at = 0;
        const another = () => world.ids[at++ % world.ids.length];
        await count('detail_postgres', () => get(`/api/products/${another()}`)(), 20);
        const { next_cursor: cursor } = await connection.json({ path: '/api/products?limit=20' });
        await count('list_postgres', get(`/api/products?limit=20&cursor=${cursor}`), 20);
        await count('me_postgres', get('/api/users/me', world.ann), 20);
        if (wanted('order_2_postgres') || wanted('order_20_postgres'))
            await needPaid(shop, connection, world);
        for (const lines of [2, 20])
            await count(`order_${lines}_postgres`,
                () => orderUntilMailed(shop, connection, orderOf(lines, world)), 6);
        connection.close();
        const { list_postgres: list, order_2_postgres: order } = ran;
        const copies = [...(list ? listFaults(list) : []),
            ...(order ? sagaFaults(order, servers.tables()) : [])];
        return { counts: out, copies, standing: { env, ids: world.ids } };
    } finally {
        await shop.stop();
    }
}
