// Ties the limits' copies of our SQL to what the shop runs: limits/saga.sql claims to be all of an
// order's statements, limits/product_list.sql to be the list's text. Copies cannot be equal letter
// by letter, as pgbench has neither arrays nor batches; so a statement is compared by what it reads,
// writes (with the columns) and locks. limits/placed.sql is by hand and claims only the same rows
// and commits, which bench_rows.mjs compares.
import { readFileSync } from 'node:fs';

const copyOf = (name) => readFileSync(new URL(`limits/${name}`, import.meta.url), 'utf8');
const plain = (text) => text.replace(/\s+/g, ' ').trim();
const listed = (names) => [...names].sort().join(', ');

/// What a statement does to `tables`: 'INSERT inbox (...) or nothing; READ fences; LOCK SHARE'.
export function deedsOf(text, tables) {
    const all = (pattern, deed) => [...plain(text).matchAll(pattern)].map(deed);
    const columns = (sets) => [...sets.matchAll(/(?:^|, )(\w+) =/g)].map(([, name]) => name);
    const deeds = [
        ...all(/INSERT INTO (\w+) ?\(([^)]*)\)/g, ([, table, names]) =>
            `INSERT ${table} (${listed(names.split(',').map((one) => one.trim()))})`),
        ...all(/UPDATE (\w+)(?: \w+)? SET (.*?)(?= FROM | WHERE | RETURNING |$)/g,
            ([, table, sets]) => `UPDATE ${table} (${listed(columns(sets))})`),
        ...all(/DELETE FROM (\w+)/g, ([, table]) => `DELETE ${table}`),
        ...all(/(?<!DELETE )(?:FROM|JOIN|USING) (\w+)/g, ([, table]) =>
            (tables.has(table) ? `READ ${table}` : '')),
        ...all(/ON CONFLICT[^;]*? DO (NOTHING|UPDATE)/g, ([, how]) => `OR ${how}`),
        ...all(/FOR ((?:NO KEY )?UPDATE|SHARE)(?: OF \w+)?( SKIP LOCKED)?/g,
            ([, how, skip = '']) => `LOCK ${how}${skip}`),
    ];
    return [...new Set(deeds.filter((one) => one !== ''))].sort().join('; ');
}

/// The statements of a script of pgbench as [{module, text}].
export function scriptStatements(script) {
    return script.split('\n').filter((line) => !line.startsWith('\\'))
        .map((line) => line.replace(/--.*$/, '')).join('\n')
        .split(/;|\\gset/).map(plain)
        .map((text) => ({ module: /shop_(\w+)\./.exec(text)?.[1],
            text: text.replace(/shop_\w+\./g, '') }))
        .filter(({ module }) => module !== undefined);
}

const byDeeds = (statements, tables) => new Map(statements
    .map(({ module, text }) => [deedsOf(text, tables[module]), { module, text }])
    .filter(([deeds]) => deeds !== '')
    .map(([deeds, one]) => [`${one.module}: ${deeds}`, one]));

const shown = ({ text }) => `    ${plain(text).slice(0, 400)}`;

/// What has to be changed in limits/saga.sql so that it is again what an order of the shop runs:
/// paragraphs, none when nothing. `ran`: [{module, text}] of each order; `tables`: {module: Set}.
export function sagaFaults(ran, tables, script = copyOf('saga.sql')) {
    const ours = byDeeds(ran, tables);
    const copy = byDeeds(scriptStatements(script), tables);
    const missing = [...ours].filter(([deeds]) => !copy.has(deeds));
    const stale = [...copy].filter(([deeds]) => !ours.has(deeds));
    return [
        ...missing.map(([deeds, one]) => 'the shop runs for an order, and limits/saga.sql does ' +
            `not:\n  ${deeds}\n${shown(one)}`),
        ...stale.map(([deeds, one]) => 'limits/saga.sql has, and the shop does not run for an ' +
            `order:\n  ${deeds}\n${shown(one)}`),
    ];
}

/// The same of limits/product_list.sql, whose text is the shop's own.
export function listFaults(ran, copy = copyOf('product_list.sql')) {
    if (ran.some(({ text }) => plain(text) === plain(copy))) return [];
    return ['limits/product_list.sql is not what the shop runs for a page of products:\n' +
        `${shown({ text: copy })}\n  it runs:\n${ran.map(shown).join('\n')}`];
}
