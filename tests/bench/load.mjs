// bench_load on a shop or on a limit, and what the processes cost meanwhile.
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';

import { Fault, sleep } from './sandbox.mjs';

export function writeRequests(sandbox, name, requests) {
    const file = sandbox.path(`${name}.jsonl`);
    writeFileSync(file, requests.map((one) => JSON.stringify(one)).join('\n') + '\n');
    return file;
}

/// {rate, p50_us, p99_us, ...}; any answer that is not expected is a Fault.
export async function load(
    sandbox,
    tool,
    { url, requests, connections = 64, expect = '200', seconds, warm = 0, count, rate },
) {
    const argv = [
        tool,
        '--url',
        url,
        '--requests',
        requests,
        '--connections',
        String(connections),
        '--expect',
        expect,
    ];
    if (count) argv.push('--count', String(count));
    else argv.push('--seconds', String(seconds), '--warm', String(warm));
    if (rate) argv.push('--rate', String(Math.max(1, Math.round(rate))));
    const { code, stdout, stderr } = await sandbox.run(argv, { check: false });
    const what = `${basename(requests, '.jsonl')} at ${url}`;
    if (code !== 0)
        throw new Fault(
            `${what}: other answers than expected, or none: ${stdout.trim()} ${stderr.trim()}`,
        );
    const result = JSON.parse(stdout);
    if (!(result.requests > 0)) throw new Fault(`${what}: nothing was answered`);
    return result;
}

/// The same with what a shop's processes, and the servers', cost a request, and the memory at its
/// half. The warm-up's cost counts as its requests do.
export async function loadShop(sandbox, tool, shop, servers, options) {
    const before = shop.cpu();
    const serversBefore = servers?.cpu();
    const half = 1000 * ((options.warm ?? 0) + (options.seconds ?? 1) * 0.6);
    const memory = sleep(half).then(() => shop.pss());
    const result = await load(sandbox, tool, { url: shop.url, ...options });
    const each = (after, base) =>
        Object.fromEntries(
            Object.entries(after).map(([name, us]) => [name, (us - base[name]) / result.total]),
        );
    result.cpu_us = each(shop.cpu(), before);
    if (servers) result.servers_cpu_us = each(servers.cpu(), serversBefore);
    result.pss_mib = await memory;
    return result;
}
