// A process of souk to be counted: started with what happens by the clock put off, asked by one
// connection, one request after the other, and stopped by its own process only.
import { spawn } from 'node:child_process';
import { existsSync, openSync, closeSync, readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// One I/O thread; polls that would fall into one slice and not into the next; no limit of rates.
const settings = [
    'http.threads=1', 'http.access_log=false', 'modules.user.hash_threads=1',
    'gateway.browse_per_minute=60000000', 'gateway.checkout_per_minute=60000000',
    'gateway.credentials_per_minute=60000000', 'gateway.import_per_minute=60000000',
    'gateway.revocation_poll=30s', 'bus.poll=1h', 'rabbitmq.poll=1h',
    'modules.order.sweep_every=1h', 'modules.payment.step_timeout=5m',
];

// What a developer's shell may have set must not reach the shop.
function cleanEnvironment() {
    const kept = Object.entries(process.env).filter(([name]) =>
        !/^(SOUK_|DATABASE_URL|REDIS_URL|RABBITMQ_URL)/.test(name));
    return Object.fromEntries(kept);
}

const living = new Set();

// For the end by a signal: at once, by their own pids.
export function killShops() {
    for (const shop of living) shop.child.kill('SIGKILL');
}

export class Shop {
    // `wrap`: a command to run it under.
    constructor({ souk, dir, name, wrap = [], args = [], env = {} }) {
        this.souk = souk;
        this.name = name;
        this.data = join(dir, name);
        this.shared = join(dir, 'shared');
        this.log = join(dir, `${name}.log`);
        // It must not outlive the guard, however that ends.
        const command = ['setpriv', '--pdeathsig', 'KILL', ...wrap, souk, 'serve',
            '--data', this.data, '--metrics-port', '0', '--set', `data.shared=${this.shared}`,
            ...settings.flatMap((one) => ['--set', one]), ...args];
        this.env = { ...cleanEnvironment(), ...env };
        const log = openSync(this.log, 'w');
        this.child = spawn(command[0], command.slice(1),
            { env: this.env, stdio: ['ignore', log, log] });
        closeSync(log);
        this.ended = new Promise((done) => {
            this.child.once('exit', done);
            this.child.once('error', (fault) => {
                this.fault = fault;
                done();
            });
        });
        living.add(this);
        this.ended.then(() => {
            this.gone = true;
            living.delete(this);
        });
    }

    get pid() {
        return this.child.pid;
    }

    async started(limitMs = 60_000) {
        const file = join(this.data, 'souk.json');
        for (const end = Date.now() + limitMs; ;) {
            if (this.gone || Date.now() > end)
                throw new Error(`${this.name} did not start: ${this.fault ?? ''}\n` +
                    readFileSync(this.log, 'utf8').slice(-3000));
            const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
            if (text.trimEnd().endsWith('}')) {
                this.port = JSON.parse(text).port;
                return this;
            }
            await sleep(20);
        }
    }

    // As a customer, and as the operator, who may do everything.
    open() {
        return new Connection({ port: this.port, host: '127.0.0.1' });
    }

    control() {
        return new Connection({ path: join(this.data, 'souk.sock') });
    }

    mails() {
        const folder = join(this.shared, 'notification/outbox');
        if (!existsSync(folder)) return 0;
        return readdirSync(folder).filter((file) => file.endsWith('.eml')).length;
    }

    async stop() {
        if (this.gone) return;
        this.child.kill('SIGTERM');
        const late = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
        await this.ended;
        clearTimeout(late);
    }
}

// Nanoseconds that the threads of a process have run.
function cpuOf(pid) {
    const tasks = `/proc/${pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => {
        try {
            return sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]);
        } catch {
            return sum;  // a thread that has ended
        }
    }, 0);
}

// Waits until a process does next to nothing: what a request has left behind is done.
export async function quiet(pid, limitMs = 10_000) {
    const step = 15;
    let calm = 0;
    let before = cpuOf(pid);
    for (const end = Date.now() + limitMs; calm < 2 && Date.now() < end;) {
        await sleep(step);
        const now = cpuOf(pid);
        calm = now - before < step * 1e6 * 0.15 ? calm + 1 : 0;
        before = now;
    }
}

// One keep-alive connection; the bytes of a request go out in one write.
export class Connection {
    constructor(where) {
        this.received = Buffer.alloc(0);
        this.socket = connect(where);
        this.socket.setNoDelay?.(true);
        this.socket.on('data', (bytes) => this.take(bytes));
        this.socket.on('error', (fault) => this.fail(fault));
        this.socket.on('close', () => this.fail(new Error('the connection was closed')));
    }

    fail(fault) {
        this.waiting?.reject(fault);
        this.waiting = undefined;
    }

    take(bytes) {
        this.received = Buffer.concat([this.received, bytes]);
        const head = this.received.indexOf('\r\n\r\n');
        if (head < 0) return;
        const fields = this.received.toString('latin1', 0, head);
        const length = Number(/^content-length: *(\d+)/im.exec(fields)?.[1] ?? 0);
        const end = head + 4 + length;
        if (this.received.length < end) return;
        const body = this.received.toString('utf8', head + 4, end);
        this.received = this.received.subarray(end);
        const { resolve } = this.waiting;
        this.waiting = undefined;
        resolve({ status: Number(fields.slice(9, 12)), body });
    }

    send(bytes) {
        return new Promise((resolve, reject) => {
            this.waiting = { resolve, reject };
            this.socket.write(bytes);
        });
    }

    // Throws for any status but the expected one: a refusal is cheap and would look like a gain.
    async ask({ method = 'GET', path, fields = {}, body, expect = 200 }) {
        const text = body === undefined ? '' : JSON.stringify(body);
        const lines = [`${method} ${path} HTTP/1.1`, 'Host: souk'];
        for (const [name, value] of Object.entries(fields)) lines.push(`${name}: ${value}`);
        if (body !== undefined)
            lines.push('Content-Type: application/json',
                `Content-Length: ${Buffer.byteLength(text)}`);
        const answer = await this.send(`${lines.join('\r\n')}\r\n\r\n${text}`);
        if (answer.status !== expect)
            throw new Error(`${method} ${path}: ${answer.status} ${answer.body.slice(0, 300)}`);
        return answer.body;
    }

    async json(request) {
        return JSON.parse(await this.ask(request));
    }

    close() {
        this.socket.removeAllListeners('close');
        this.socket.destroy();
    }
}
