// What of the bench can be wrong without a run showing it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { summarize } from './report.mjs';
import { deedsOf, listFaults, sagaFaults, scriptStatements } from './same_sql.mjs';
import { quantileOfMix } from './statistics.mjs';
import { asText } from './table.mjs';

const script = readFileSync(new URL('limits/saga.sql', import.meta.url), 'utf8');
const names = new Set([...script.matchAll(/shop_\w+\.(\w+)/g)].map(([, name]) => name));
const tables = Object.fromEntries(
    ['user', 'product', 'order', 'payment', 'notification'].map((module) => [module, names]),
);

test('the deeds of a statement: tables, columns, locks', () => {
    const text = `WITH a AS (UPDATE t x SET b = x.b + 1, c = 2 FROM u WHERE u.id = x.id)
        INSERT INTO v (z, y) SELECT * FROM a JOIN w ON TRUE ORDER BY z FOR UPDATE SKIP LOCKED`;
    assert.equal(
        deedsOf(text, new Set(['t', 'u', 'v', 'w'])),
        'INSERT v (y, z); LOCK UPDATE SKIP LOCKED; READ u; READ w; UPDATE t (b, c)',
    );
});

test('a copy that is up to date has no faults; a changed statement of ours is named', () => {
    const ran = scriptStatements(script);
    assert.ok(ran.length > 20);
    assert.deepEqual(sagaFaults(ran, tables, script), []);
    const changed = ran.map((one) => ({
        ...one,
        text: one.text.replace("SET status = 'paid',", "SET status = 'paid', paid_at = 1,"),
    }));
    const faults = sagaFaults(changed, tables, script);
    assert.equal(faults.length, 2);
    assert.match(faults[0], /^the shop runs .*\n {2}order: .*UPDATE orders \(paid_at, status/);
    assert.match(faults[1], /^limits\/saga.sql has/);
    const fewer = ran.filter(({ text }) => !text.includes('ledger_sets'));
    assert.match(sagaFaults(fewer, tables, script)[0], /INSERT ledger_sets/);
});

test('the list is compared by its text', () => {
    const copy = 'SELECT a\n  FROM b LIMIT 21';
    assert.deepEqual(listFaults([{ text: 'SELECT a FROM b LIMIT 21' }], copy), []);
    assert.equal(listFaults([{ text: 'SELECT a FROM b LIMIT 22' }], copy).length, 1);
});

test('the p99 of a mixture lies where 1% of all is above', () => {
    const even = (from, to) => [0.25, 0.5, 0.75, 1].map((part) => [part, from + part * (to - from)]);
    const close = (found, wanted) => assert.ok(Math.abs(found / wanted - 1) < 0.01, String(found));
    const fast = { quantiles_us: [[0, 0], ...even(0, 100)] };
    const slow = { quantiles_us: [[0, 1000], ...even(1000, 2000)] };
    close(quantileOfMix([{ share: 1, ...fast }], 0.99), 99);
    // Half of the slow 2% are above.
    close(quantileOfMix([{ share: 0.98, ...fast }, { share: 0.02, ...slow }], 0.99), 1500);
    close(quantileOfMix([{ share: 0.995, ...fast }, { share: 0.005, ...slow }], 0.99), 99.5);
});

const machine = { cpu: 'a CPU', cores: 2 };
const options = { stacks: ['servers'], only: '^list$', rounds: 1, seconds: 1 };
const run = { souk: '1', machine, options, seconds: 60, missing: [], notes: [] };
const about = { workload: 'list', stack: 'servers', round: 0 };

test('a limit that cannot reach the rate is not held, but not measured', () => {
    const results = summarize({
        ...run,
        measurements: [
            { ...about, loop: 'closed', who: 'souk', rate: 200 },
            { ...about, loop: 'closed', who: 'Beast + libpq', rate: 100 },
            { ...about, loop: 'open', who: 'souk', rate: 120, at_rate: 120, p99_us: 10 },
            { ...about, loop: 'open', who: 'Beast + libpq', at_rate: 120, cannot: true, peak: 100 },
        ],
    });
    assert.deepEqual(
        results.targets.map(({ name, held }) => [name, held]),
        [['list of 20, not cached, servers, of Beast + libpq', true]],
    );
    const [{ name, why }] = results.unmeasured;
    assert.equal(name, 'p99 at 60%: list of 20, not cached, servers, of Beast + libpq');
    assert.equal(why, 'Beast + libpq does 100/s at its best, 120/s were asked');
    const text = asText(results);
    assert.match(text, /1 held, 0 missed, 1 not measured/);
    assert.ok(text.split('\n').every((line) => line.length <= 120), text);
});

test('what was asked for and is not there is named', () => {
    const results = summarize({ ...run, measurements: [] });
    assert.deepEqual(
        results.unmeasured.map(({ about }) => about),
        ['list of 20, not cached', 'p99: list of 20, not cached'],
    );
});
