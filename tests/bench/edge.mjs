// What the edge and the split cost: the same GET to the whole shop in one process, to a module's
// process through the gateway (peers by a shared key, and with certificates on both sides), and to
// that process itself. All on the same servers and databases, in turn.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { load, writeRequests } from './load.mjs';
import { attempt, keep } from './measure.mjs';
import { cpuOf } from './observe.mjs';

export const busyConnections = 64;
const calmConnections = 16;
export const calmRate = 800;

export const edgeRequests = ['product', 'list', 'me'];
export const edgeWays = ['whole', 'direct', 'gateway', 'gateway-tls'];

const encoded = (value) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/// What the gateway would say of the customer, signed with its key; it holds for 30 s.
function identityOf(sandbox, accessToken) {
    const seed = Buffer.from(
        readFileSync(sandbox.path('certs/identity.key'), 'utf8').trim(),
        'base64url',
    );
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { x } = createPublicKey(key).export({ format: 'jwk' });
    const kid = createHash('sha256')
        .update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
        .digest('base64url');
    const { sub, sid, roles } = JSON.parse(Buffer.from(accessToken.split('.')[1], 'base64url'));
    const now = Math.floor(Date.now() / 1000);
    const head = { alg: 'EdDSA', kid, typ: 'souk-internal+jwt' };
    const claims = { iss: 'souk', aud: 'souk-internal', sub, sid, roles, iat: now, exp: now + 30 };
    const signed = `${encoded(head)}.${encoded(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
}

/// Where this way leads, with which fields, and through which processes.
function wayOf({ whole, keyed, split, data, sandbox }, way, request) {
    const module = request === 'me' ? 'user' : 'product';
    const bearer = request === 'me' ? { Authorization: `Bearer ${data.customers[0].token}` } : {};
    if (way === 'whole')
        return { url: whole.url, headers: bearer, processes: { whole: whole.processes.whole } };
    if (way === 'direct') {
        const headers = {
            'Souk-Peer-Key': readFileSync(sandbox.path('certs/peer.key'), 'utf8').trim(),
        };
        if (request === 'me')
            headers['Souk-Identity'] = identityOf(sandbox, data.customers[0].token);
        const processes = { [module]: keyed.processes[module] };
        return { url: `http://127.0.0.1:${keyed.internal[module]}`, headers, processes };
    }
    const shop = way === 'gateway' ? keyed : split;
    const processes = { gateway: shop.processes.gateway, [module]: shop.processes[module] };
    return { url: shop.url, headers: bearer, processes };
}

async function measureWay(context, stack, way, request, loop) {
    const path = {
        product: `/api/products/${stack.data.products[0]}`,
        list: '/api/products?limit=20',
        me: '/api/users/me',
    };
    const { url, headers, processes } = wayOf({ ...stack, sandbox: context.sandbox }, way, request);
    const requests = writeRequests(context.sandbox, `edge-${way}-${request}`, [
        { path: path[request], headers },
    ]);
    const cpu = () => Object.entries(processes).map(([role, one]) => [role, cpuOf(one.pid)]);
    const before = Object.fromEntries(cpu());
    const how =
        loop === 'closed'
            ? { connections: busyConnections }
            : { connections: calmConnections, rate: calmRate };
    const result = await load(context.sandbox, context.tool('bench_load'), {
        url,
        requests,
        seconds: context.seconds,
        warm: 0.2,
        ...how,
    });
    result.cpu_us = Object.fromEntries(
        cpu().map(([role, us]) => [role, (us - before[role]) / result.total]),
    );
    return result;
}

/// `stack`: {whole, keyed, split, data}
export async function measureEdge(context, stack) {
    for (let round = 0; round < context.rounds; ++round)
        for (const request of edgeRequests)
            for (const loop of ['closed', 'open'])
                for (const way of edgeWays) {
                    const pace = loop === 'closed' ? 'at saturation' : `at ${calmRate}/s`;
                    const what = `${request} by ${way}, ${pace}`;
                    context.step(`round ${round + 1}: ${what}`);
                    const about = {
                        workload: `edge-${request}`,
                        stack: way,
                        loop,
                        round,
                        who: 'souk',
                    };
                    await attempt(context, what, async () =>
                        keep(context, about, await measureWay(context, stack, way, request, loop)),
                    );
                }
}
