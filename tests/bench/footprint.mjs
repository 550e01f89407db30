// What a shop is before it is asked anything: how fast it starts, how large it is.
import { statSync } from 'node:fs';

import { Fault, sleep } from './sandbox.mjs';

const startLimitMs = 20_000;

async function firstAnswer(url, process) {
    for (
        const end = performance.now() + startLimitMs;
        performance.now() < end && !process.gone;
        await sleep(1)
    ) {
        const answer = await fetch(`${url}/health`).catch(() => undefined);
        if (answer?.status === 200) return performance.now();
    }
    throw new Fault(`${process.name} did not answer`);
}

/// Milliseconds from the start of the process to its first 200, with the data of a shop that has
/// ended there. The first answer is looked for every ms.
export async function startTimes(context, shop, count) {
    const times = [];
    for (let i = 0; i < count; ++i) {
        const port = await context.sandbox.freePort();
        const start = performance.now();
        shop.launch('whole', ['--port', String(port)]);
        times.push((await firstAnswer(`http://127.0.0.1:${port}`, shop.processes.whole)) - start);
        await shop.stop();
    }
    return times;
}

/// Bytes as built (with debug information), and stripped.
export async function binarySize(context) {
    const stripped = context.sandbox.path('stripped');
    await context.sandbox.run(['strip', '-o', stripped, context.souk]);
    return { built_bytes: statSync(context.souk).size, stripped_bytes: statSync(stripped).size };
}
