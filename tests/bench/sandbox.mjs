// The one folder of a run, and the processes that belong to it: all gone at its end, at ^C, and
// when this process is killed (the shops by PDEATHSIG, the limits by their stdin, the servers and
// the folder by a guard that waits for its stdin to end).
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/// Told to the user without a stack: something was not there, or did not do what it should.
export class Fault extends Error {}

const stopLimitMs = 20_000;
// Between the shop's own ports and those of tests/support/services.sh.
const firstPort = 14000;
const portCount = 6000;

// What the caller's shell may have set is none of ours.
export function cleanEnvironment() {
    const foreign = /^(SOUK|DATABASE_URL|REDIS_URL|RABBITMQ_URL|PG[A-Z]+$)/;
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

function bindable(port) {
    return new Promise((done) => {
        const server = createServer();
        server.once('error', () => done(false));
        server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
}

// nginx's workers outlive a killed master; it began a session, so they are its group.
const guardScript = `cat >/dev/null
[ -d "$1" ] || exit 0
for file in "$1"/nginx-*/nginx.pid; do
    [ ! -s "$file" ] || kill -TERM -- "-$(cat "$file")" 2>/dev/null
done
[ ! -d "$1/services" ] || "$2" remove "$1/services" >/dev/null 2>&1
rm -rf "$1"`;

export class Sandbox {
    constructor(root) {
        this.root = root;
        this.services = join(root, 'tests/support/services.sh');
        this.dir = mkdtempSync(join(tmpdir(), 'souk-bench.'));
        chmodSync(this.dir, 0o711); // as root the servers are other users
        // ext4 without a journal looks at each inode freed in the last minutes before it takes one:
        // after another run, up to 1 ms a mail. Below a top directory folders lie apart (if it can).
        spawnSync('chattr', ['+T', this.dir], { stdio: 'ignore' });
        this.children = new Set();
        this.ending = false;
        process.env.TMPDIR = this.dir; // whatever else is made on the way goes with it
        this.port = firstPort + Math.floor(Math.random() * portCount);
        this.guard = spawn('bash', ['-c', guardScript, 'guard', this.dir, this.services], {
            detached: true,
            stdio: ['pipe', 'ignore', 'ignore'],
        });
        this.guard.unref();
    }

    path(...parts) {
        return join(this.dir, ...parts);
    }

    secret() {
        return randomBytes(32).toString('base64url');
    }

    async freePort() {
        for (let i = 0; i < portCount; ++i) {
            const port = (this.port++ % portCount) + firstPort;
            if (await bindable(port)) return port;
        }
        throw new Fault('no free port found');
    }

    /// A process that runs until stop(); its output is in NAME.log. `answers`: its first line on
    /// stdout, as JSON, is awaited by said().
    start(name, argv, { env = {}, answers = false } = {}) {
        this.refuseAtEnd();
        const log = openSync(this.path(`${name}.log`), 'w');
        const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
            env: { ...cleanEnvironment(), ...env },
            detached: true, // a ^C at a terminal is for us: we stop it
            stdio: [answers ? 'pipe' : 'ignore', answers ? 'pipe' : log, log],
        });
        closeSync(log);
        const process = { name, child, pid: child.pid, gone: false };
        process.ended = new Promise((done) => {
            child.once('error', done);
            child.once('exit', done);
        }).then(() => {
            process.gone = true;
            this.children.delete(process);
        });
        this.children.add(process);
        return process;
    }

    logOf(process) {
        return readFileSync(this.path(`${process.name}.log`), 'utf8')
            .trim()
            .split('\n')
            .slice(-15)
            .join('\n');
    }

    async said(process) {
        const line = new Promise((done) => {
            let text = '';
            process.child.stdout.on('data', (piece) => {
                text += piece;
                if (text.includes('\n')) done(text.slice(0, text.indexOf('\n')));
            });
        });
        const first = await Promise.race([line, process.ended]);
        if (!first) throw new Fault(`${process.name} did not start:\n${this.logOf(process)}`);
        return JSON.parse(first);
    }

    async stop(process) {
        if (process.gone) return;
        process.child.kill('SIGTERM');
        const timer = setTimeout(() => process.child.kill('SIGKILL'), stopLimitMs);
        await process.ended;
        clearTimeout(timer);
    }

    /// Runs a command to its end: {code, stdout, stderr}; with `check` a failure is a Fault.
    async run(argv, { env = {}, check = true } = {}) {
        this.refuseAtEnd();
        return this.execute(argv, env, check);
    }

    async execute(argv, env, check) {
        const child = spawn(argv[0], argv.slice(1), {
            env: { ...cleanEnvironment(), ...env },
            detached: true,
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        const running = { name: argv[0], child, gone: false };
        this.children.add(running);
        let stdout = '';
        let stderr = '';
        child.stdout.on('data', (piece) => (stdout += piece));
        child.stderr.on('data', (piece) => (stderr += piece));
        running.ended = new Promise((done) => {
            child.once('error', (error) => {
                stderr += error.message;
                done(127);
            });
            child.once('close', done);
        });
        const code = await running.ended;
        running.gone = true;
        this.children.delete(running);
        if (check && code !== 0)
            throw new Fault(
                `${argv.slice(0, 3).join(' ')} failed (${code}): ${stderr.trim() || stdout.trim()}`,
            );
        return { code, stdout, stderr };
    }

    refuseAtEnd() {
        if (this.ending) throw new Fault('the run was stopped');
    }

    async end() {
        this.ending = true;
        await Promise.all([...this.children].map((one) => this.stop(one)));
        if (this.servicesRun)
            await this.execute([this.services, 'remove', this.path('services')], {}, false);
        rmSync(this.dir, { recursive: true, force: true });
        this.guard.stdin.end();
    }
}
