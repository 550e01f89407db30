// Counts of one process under callgrind: instructions, allocations, SQLite statements, syncs.
// callgrind writes a profile each time the process sends something, before it does. So what a
// request costs is what was written between the answer before it and its own: exact, and seldom is
// there anything in it that happens by the clock.
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

// Entry points of jemalloc (none of them calls another), the C library and SQLite, so that no name of
// ours can slip away.
const counted = {
    allocations: new Set(['malloc', 'calloc', 'realloc', 'memalign', 'aligned_alloc',
        'posix_memalign', 'operator new(unsigned long)', 'operator new[](unsigned long)',
        'operator new(unsigned long, std::nothrow_t const&)',
        'operator new(unsigned long, std::align_val_t)']),
    statements: new Set(['sqlite3_reset']),
    syncs: new Set(['fsync', 'fdatasync']),
};

export class Callgrind {
    constructor(dir) {
        this.out = join(dir, 'callgrind.out');
    }

    // To put before the command that is counted.
    get wrap() {
        return ['valgrind', '--tool=callgrind', '--quiet', '--dump-line=no',
            '--dump-before=send', '--dump-before=sendmsg', '--dump-before=writev',
            `--callgrind-out-file=${this.out}`];
    }

    // The profiles written since the last call, in their order; not one that is being written: the
    // process sends something else meanwhile, and it counts with the next request.
    take() {
        const dir = dirname(this.out);
        const prefix = `${basename(this.out)}.`;
        const parts = readdirSync(dir).filter((file) => file.startsWith(prefix))
            .map((file) => Number(file.slice(prefix.length))).sort((a, b) => a - b);
        const whole = [];
        for (const part of parts) {
            const text = readFileSync(`${this.out}.${part}`, 'utf8');
            if (!/\ntotals: \d+\n$/.test(text)) break;
            rmSync(`${this.out}.${part}`);
            whole.push(text);
        }
        return whole;
    }

    // What a request cost that has just been answered.
    counts() {
        const profiles = this.take();
        if (profiles.length === 0)
            throw new Error('callgrind wrote no profile for an answer: how is it sent now?');
        const all = profiles.map(readProfile);
        const sum = Object.fromEntries(Object.keys(all[0]).map((what) =>
            [what, all.reduce((total, one) => total + one[what], 0)]));
        return { sum, profiles };
    }
}

// For callgrind_annotate. Functions that were entered before have calls=0, and it would take what
// they called for their own work.
export function keepProfiles(profiles, file) {
    const largest = profiles.reduce((a, b) => (a.length > b.length ? a : b));
    writeFileSync(file, largest.replaceAll('\ncalls=0 ', '\ncalls=1 '));
}

// Names are written out once a file, "(12) malloc", and then by their number.
export function readProfile(text) {
    const names = new Map();
    const calls = new Map();
    let callee = '';
    for (const line of text.split('\n')) {
        const named = /^(c?fn)=\((\d+)\)(?: (.*))?$/.exec(line);
        if (named) {
            if (named[3] !== undefined) names.set(named[2], named[3].replace(/'\d+$/, ''));
            if (named[1] === 'cfn') callee = names.get(named[2]);
        } else if (line.startsWith('calls=')) {
            calls.set(callee, (calls.get(callee) ?? 0) + parseInt(line.slice(6), 10));
        }
    }
    const counts = { instructions: Number(/^totals: (\d+)/m.exec(text)[1]) };
    for (const [what, functions] of Object.entries(counted)) {
        counts[what] = 0;
        for (const name of functions) counts[what] += calls.get(name) ?? 0;
    }
    return counts;
}
