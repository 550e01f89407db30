// What was measured against what is allowed: the verdicts, and how they are told.
import { join, relative } from 'node:path';

// How far above what was measured a budget stands, in percent and at least absolutely: above the
// spread between runs on a busy machine (README, "The guard"), below one statement, sync or
// allocation more in a read.
const headroom = {
    instructions: { percent: 2.5, least: 0, digits: 0 },
    allocations: { percent: 1, least: 0.4, digits: 1 },
    statements: { percent: 2, least: 0.3, digits: 1 },
    commits: { percent: 3, least: 0.3, digits: 1 },
    syncs: { percent: 6, least: 0.3, digits: 1 },
};
// The workers of five modules meet in another order for each order.
const moreForOrders = 2;
// Between two answers a gateway hears from Redis, seldom or often: ten allocations each time.
const percentForwarded = 15;

function percentFor(request, what) {
    if (request.endsWith('_forwarded')) return percentForwarded;
    return headroom[what].percent * (request.startsWith('order') ? moreForOrders : 1);
}

// A budget of which today's count would need less than this share has become too easy.
const easy = 0.9;

function at(share, samples, what) {
    const sorted = samples.map((one) => one[what]).sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) * share)];
}

// The lowest tenth: what happens by the clock can only add to some of the samples, to most of them
// on a very busy machine, while what each request does is in all of them.
const typical = (samples, what) => at(0.1, samples, what);

export function budgetFor(request, what, measured) {
    const { least, digits } = headroom[what];
    const room = Math.max(measured * percentFor(request, what) / 100, least);
    const unit = 10 ** digits;
    return Math.ceil((measured + room) * unit - 1e-6) / unit;
}

// { request: [{ what: n }, ...] } → { request: { what: budget } }
export function budgetsFrom(counts) {
    return Object.fromEntries(Object.entries(counts).map(([request, samples]) => [request,
        Object.fromEntries(Object.keys(samples[0]).map((what) =>
            [what, budgetFor(request, what, typical(samples, what))]))]));
}

function verdictOf(request, what, budget, measured) {
    if (budget === undefined) return 'new';
    if (measured > budget) return 'over';
    return budgetFor(request, what, measured) < budget * easy ? 'lower' : 'held';
}

export function judge(counts, budgets) {
    const lines = [];
    for (const [request, samples] of Object.entries(counts))
        for (const what of Object.keys(samples[0])) {
            const measured = typical(samples, what);
            const budget = budgets[request]?.[what];
            lines.push({ request, count: what, budget, measured,
                median: at(0.5, samples, what),
                difference: budget === undefined ? undefined : measured - budget,
                verdict: verdictOf(request, what, budget, measured) });
        }
    return lines;
}

// --- as text ---

const colours = { over: 31, new: 31, lower: 33, held: 32 };

function painter(stream) {
    const plain = !stream.isTTY || Boolean(process.env.NO_COLOR);
    return (verdict, text) => (plain ? text : `\x1b[${colours[verdict]}m${text}\x1b[0m`);
}

const number = (what, value) => value.toLocaleString('en-US', {
    minimumFractionDigits: headroom[what].digits && 1,
    maximumFractionDigits: headroom[what].digits && 2 });

const signed = (text, value) => (value > 0 ? `+${text}` : text);

function difference({ count, budget, difference }) {
    const percent = (100 * difference / budget).toFixed(1);
    return `${signed(number(count, difference), difference)} (${signed(percent, difference)}%)`;
}

// The command that shows where a count comes from.
function where({ request, count }, keep) {
    const path = join(keep, request);
    const below = relative(process.cwd(), path);
    const file = below.startsWith('..') ? path : below;
    if (count === 'instructions')
        return `callgrind_annotate --inclusive=yes --threshold=100 ${file}.callgrind | head -n 80`;
    const entry = { allocations: 'malloc', syncs: 'fdatasync', statements: 'sqlite3_reset' }[count];
    if (entry === undefined || request.endsWith('_postgres')) return `cat ${file}.statements`;
    return 'callgrind_annotate --tree=caller --inclusive=yes --threshold=100 ' +
        `${file}.callgrind | grep -B 30 '\\* .*:${entry}'`;
}

export function asTable(lines) {
    const paint = painter(process.stdout);
    const rows = lines.map((line) => [line.verdict, line.request, line.count,
        line.budget === undefined ? 'none' : number(line.count, line.budget),
        number(line.count, line.measured), number(line.count, line.median),
        line.budget === undefined ? '' : difference(line)]);
    const head = ['', 'request', 'a request', 'budget', 'measured', 'median', 'difference'];
    const widths = head.map((text, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
    const write = (row) => row.map((text, i) =>
        (i < 3 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ').trimEnd();
    return [write(head), ...rows.map((row) => paint(row[0], write(row)))].join('\n');
}

// What has to be done, a paragraph each.
export function asAdvice(lines, keep, update) {
    const out = [];
    for (const line of lines) {
        const name = `${line.request}, ${line.count}`;
        const measured = number(line.count, line.measured);
        if (line.verdict === 'over')
            out.push(`OVER its budget: ${name}: budget ${number(line.count, line.budget)}, ` +
                `measured ${measured}, ${difference(line)}\n  where: ${where(line, keep)}`);
        if (line.verdict === 'new')
            out.push(`NO budget: ${name}: measured ${measured}\n  set one: ${update}`);
        if (line.verdict === 'lower')
            out.push(`lower the budget: ${name}: budget ${number(line.count, line.budget)}, ` +
                `measured ${measured}, ${difference(line)}\n  ${update}`);
    }
    return out.join('\n');
}
