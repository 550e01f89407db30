#!/usr/bin/env node
// The guard of what a request costs, by counts and not by clocks: instructions and allocations
// under callgrind, statements and commits on PostgreSQL and SQLite, each against budgets.json.
//   budgets.mjs [--build DIR] [--only REQUEST,...] [--rounds N] [--json] [--update]
// --build   the build folder whose souk is counted (build/dev)
// --only    these requests only
// --rounds  how long to measure (3): 8 reads, 3 orders, a round on PostgreSQL for each
// --json    the verdicts as JSON instead of a table
// --update  writes what was measured, with its headroom, to budgets.json
// On PostgreSQL it also compares what was run with the limits' copies of it (same_sql.mjs).
// Exit: 0 held, 1 over a budget, without one, or copies differ, 2 could not be measured, 77 skipped:
// the budgets are for another build. Profiles and statements stay in DIR/budgets. Progress goes to stderr.
import { execFileSync } from 'node:child_process';
import {
    chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Servers, postgres } from './budgets_postgres.mjs';
import { asAdvice, asTable, budgetsFrom, judge } from './budgets_report.mjs';
import { killShops } from './budgets_shop.mjs';
import { embedded, split } from './budgets_worlds.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const budgetsFile = join(here, 'budgets.json');
const skipped = 77;

const usage = () => readFileSync(fileURLToPath(import.meta.url), 'utf8').split('\n')
    .slice(1).filter((line, i, all) => all.slice(0, i + 1).every((one) => one.startsWith('//')))
    .map((line) => line.slice(3)).join('\n');

function options() {
    try {
        const { values } = parseArgs({ options: {
            build: { type: 'string', default: join(root, 'build/dev') },
            only: { type: 'string' }, rounds: { type: 'string', default: '3' },
            json: { type: 'boolean' }, update: { type: 'boolean' }, help: { type: 'boolean' } } });
        if (!/^[1-9]\d*$/.test(values.rounds)) throw new Error('--rounds wants a number');
        return { ...values, rounds: Number(values.rounds), build: resolve(values.build),
            only: values.only?.split(',') };
    } catch (fault) {
        console.error(`budgets: ${fault.message}\n\n${usage()}`);
        process.exit(2);
    }
}

// --- which build is it ---

function cached(text, name) {
    return new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(text)?.[1] ?? '';
}

function compilerOf(build) {
    const folder = readdirSync(join(build, 'CMakeFiles')).find((name) => /^\d+\.\d+/.test(name));
    const text = readFileSync(join(build, 'CMakeFiles', folder, 'CMakeCXXCompiler.cmake'), 'utf8');
    const value = (name) => new RegExp(`^set\\(${name} "(.*)"\\)$`, 'm').exec(text)?.[1];
    return `${value('CMAKE_CXX_COMPILER_ID')} ${value('CMAKE_CXX_COMPILER_VERSION')}`;
}

// Whatever changes the counts without a change of souk.
function identity(build) {
    if (!existsSync(join(build, 'souk')))
        throw new Error(`there is no souk in ${build}: .ci/build dev`);
    const cache = readFileSync(join(build, 'CMakeCache.txt'), 'utf8');
    const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'));
    return {
        flags: cached(cache, 'CMAKE_CXX_FLAGS'),
        sanitize: cached(cache, 'SOUK_SANITIZE'),
        failpoints: cached(cache, 'SOUK_FAILPOINTS'),
        compiler: compilerOf(build),
        system: system?.[1] ?? 'unknown',
        machine: process.arch,
    };
}

// The preset that has these options, wherever it was built.
function presetOf(found) {
    const { configurePresets } = JSON.parse(readFileSync(join(root, 'CMakePresets.json'), 'utf8'));
    const variables = (name) => {
        const preset = configurePresets.find((one) => one.name === name);
        return { ...(preset.inherits ? variables(preset.inherits) : {}), ...preset.cacheVariables };
    };
    const same = ({ name }) => {
        const { CMAKE_CXX_FLAGS: flags, SOUK_SANITIZE: sanitize = '' } = variables(name);
        return flags === found.flags && sanitize === found.sanitize;
    };
    return configurePresets.filter((one) => !one.hidden).find(same)?.name ?? 'none';
}

const differences = (wanted, found) => Object.keys(wanted)
    .filter((key) => key !== 'preset' && wanted[key] !== found[key])
    .map((key) => `  ${key}: the budgets are for '${wanted[key]}', this is '${found[key]}'`);

// Where the preset of the budgets itself was changed, skipping would be the end of the guard.
function stopForAnotherBuild(kept, build, found) {
    const other = differences(kept.for, found);
    if (other.length === 0) return;
    const named = basename(build) === kept.for.preset;
    const changed = named && other.some((line) => /^ {2}(flags|sanitize|failpoints):/.test(line));
    if (changed) {
        console.error(`budgets: preset '${kept.for.preset}' has changed since its budgets were ` +
            'written; measure anew: node tests/bench/budgets.mjs --update\n' + other.join('\n'));
        process.exit(2);
    }
    const banner = '*'.repeat(78);
    console.error(`${banner}\nbudgets: SKIPPED, NOTHING WAS CHECKED: the budgets are for preset ` +
        `'${kept.for.preset}'\n${other.join('\n')}\n${banner}`);
    process.exit(skipped);
}

// --- the run ---

function needPrograms() {
    for (const [program, group] of [['valgrind', 'guard'], ['psql', 'servers']])
        try {
            execFileSync('which', [program], { stdio: 'ignore' });
        } catch {
            throw new Error(`there is no ${program}: .ci/deps ${group}`);
        }
}

async function measure(common) {
    const needsServers = (name) => /_postgres$|_forwarded$/.test(name);
    const alone = !common.only?.every(needsServers);
    const counts = alone ? await embedded(common) : {};
    if (common.only && !common.only.some(needsServers)) return { counts, copies: [] };
    common.progress('servers');
    const servers = new Servers(common.dir);
    common.atEnd(() => servers.remove());
    try {
        const { counts: asked, copies, standing } = await postgres({ ...common, servers });
        Object.assign(counts, asked, await split({ ...common, standing }));
        return { counts, copies };
    } finally {
        servers.remove();
    }
}

// A whole run replaces all budgets, so that none is kept of what is no longer measured.
const withMeasured = (kept, counts, found, only) => ({
    for: { preset: presetOf(found), ...found },
    budgets: { ...(only ? kept.budgets : {}), ...budgetsFrom(counts) },
});

function report(lines, copies, { keep, json, started }) {
    const held = copies.length === 0 &&
        lines.every((line) => line.verdict === 'held' || line.verdict === 'lower');
    const advice = asAdvice(lines, keep, 'node tests/bench/budgets.mjs --update');
    const seconds = (Date.now() - started) / 1000;
    console.log(json ? JSON.stringify({ held, seconds, counts: lines, copies }) : asTable(lines));
    if (advice) console.error(`\n${advice}`);
    for (const fault of copies) console.error(`\nA LIMIT'S SQL is no longer ours: ${fault}`);
    if (copies.length > 0) console.error('\nchange the copies (README, "The limits"), and where ' +
        'rows or commits change, limits/bench_rows.mjs');
    return held ? 0 : 1;
}

// What was asked for and what has a budget must have been measured.
function needAll(counts, kept, only) {
    for (const name of only ?? Object.keys(kept.budgets))
        if (!(name in counts)) throw new Error(`there is no request '${name}'`);
}

// A folder of its own, and what is done at the end, also at the end by a signal.
function workplace() {
    const dir = mkdtempSync(join(tmpdir(), 'souk-budgets.'));
    chmodSync(dir, 0o711);  // the servers' users pass through
    const steps = [() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 })];
    const end = () => steps.splice(0).forEach((step) => step());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.once(signal, () => {
            killShops();
            end();
            process.exit(130);
        });
    return { dir, end, atEnd: (step) => steps.unshift(step) };
}

async function count({ build, only, rounds }, keep, progress) {
    const { dir, end, atEnd } = workplace();
    const wanted = (name) => !only || only.includes(name);
    try {
        const souk = join(build, 'souk');
        return await measure({ souk, dir, keep, rounds, only, wanted, progress, atEnd });
    } finally {
        end();
    }
}

async function main() {
    const { build, only, rounds, json, update } = options();
    const kept = JSON.parse(readFileSync(budgetsFile, 'utf8'));
    const found = identity(build);
    if (!update || only) stopForAnotherBuild(kept, build, found);
    needPrograms();
    const keep = join(build, 'budgets');
    rmSync(keep, { recursive: true, force: true });
    mkdirSync(keep, { recursive: true });
    const started = Date.now();
    const progress = (text) => {
        const seconds = ((Date.now() - started) / 1000).toFixed(0);
        console.error(`budgets: ${seconds.padStart(3)} s  ${text}`);
    };
    const { counts, copies } = await count({ build, only, rounds }, keep, progress);
    progress('done');
    if (!update || only) needAll(counts, kept, only);
    const next = update ? withMeasured(kept, counts, found, only) : kept;
    if (update) {
        writeFileSync(budgetsFile, `${JSON.stringify(next, null, 2)}\n`);
        progress(`written: ${relative(process.cwd(), budgetsFile)}`);
    }
    return report(judge(counts, next.budgets), copies, { keep, json, started });
}

try {
    process.exitCode = await main();
} catch (fault) {
    console.error(`budgets: ${fault.message}`);
    process.exitCode = 2;
}
