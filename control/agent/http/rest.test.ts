import { readFileSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificates } from '../../../test/support/certificates.js';
import { program, testIf } from '../../../test/support/requires.js';
import { DEFAULT_CONFIG, DEFAULT_IPV6 } from '../../compiler/input.js';
import type { Agent } from '../agent.js';
import { directory, Machine, pod, request, wired } from '../fixtures.js';
import { isOwnHost } from './hosts.js';
import type { RestConfig } from './rest-config.js';
import { list, type Route } from './route.js';
import { agentRoutes } from './routes.js';
import { type RestServer, serveRest } from './server.js';
import type { AgentSource } from './source.js';

const NO_METRICS = { contentType: 'text/plain', text: () => Promise.resolve('none 1\n') };
const lines: string[] = [];

class Source implements AgentSource {
  readonly node = 'n1';
  readonly version = '0.0.0';
  readonly config = DEFAULT_CONFIG;
  agent: Agent | null = null;
  waiting: string | null = null;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // What a route answers differs by route.
  readonly body: ReturnType<typeof JSON.parse>;
}

/** Serves `source`, calls `work` with a function that asks, and closes. */
async function serving(
  source: Source,
  work: (
    ask: (path: string, options?: RequestOptions) => Promise<Reply>,
    server: RestServer,
  ) => Promise<void>,
  config: Partial<RestConfig> = {},
): Promise<void> {
  const listen = { host: '127.0.0.1', port: 0 };
  const server = await serveRest(
    { listen, tls: null, hosts: [], ...config },
    agentRoutes(source, NO_METRICS),
    (line) => lines.push(line),
  );
  const ask = (path: string, options: RequestOptions = {}): Promise<Reply> =>
    answerOf(
      httpRequest({ host: '127.0.0.1', port: server.port ?? undefined, path, agent: false, ...options }),
    );
  try {
    await work(ask, server);
  } finally {
    await server.close();
    await source.agent?.close();
  }
}

function answerOf(asked: ReturnType<typeof httpRequest>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    asked.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', reject).on('end', () => {
        const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== '';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          body: isJson ? JSON.parse(text) : null,
        });
      });
    });
    asked.end();
  });
}

test('while the agent starts: alive, not ready, and what it waits for', async () => {
  const source = new Source();
  source.waiting = 'the store cannot be reached';
  await serving(source, async (ask) => {
    assert.is((await ask('/healthz')).status, 200);
    const ready = await ask('/readyz');
    assert.is(ready.status, 503);
    assert.equal(ready.body, { ready: false, problem: 'the store cannot be reached' });
    assert.is((await ask('/config')).body.podSubnetCIDR, '10.1.0.0/16');
    const pods = await ask('/pods');
    assert.is(pods.status, 503);
    assert.match(pods.body.error, /starting: the store cannot be reached/);
    assert.is((await ask('/status')).body.ready, false);
  });
});

test('a running agent: status, addresses, pods, events, ruleset, backend', async () => {
  const machine = new Machine();
  const source = new Source();
  await machine.put(pod('web'));
  source.agent = await machine.agent({ config: { ...DEFAULT_CONFIG, ipv6: DEFAULT_IPV6 } });
  await wired(source.agent, 'web');
  await wired(source.agent, 'db');
  await serving(source, async (ask) => {
    assert.equal((await ask('/readyz')).body, { ready: true });
    const status = (await ask('/status')).body;
    assert.equal([status.ready, status.nodeId, status.pods, status.dataplane.up], [true, 1, 2, true]);
    assert.is(status.store.known, status.store.applied);
    const ipam = (await ask('/ipam')).body;
    assert.is(ipam.plan.gateway, '10.1.1.1');
    assert.equal(
      ipam.pools.map(({ subnet, used }: { subnet: string; used: number }) => [subnet, used]),
      [
        ['10.1.1.0/24', 2],
        ['fd00:10:1:1::/64', 2],
      ],
    );
    assert.equal((await ask('/ipam/allocations?address=fd00:10:1:1::3')).body.items, [
      { address: 'fd00:10:1:1::3', namespace: 'shop', name: 'db', containerId: 'c-db' },
    ]);
    const pods = (await ask('/pods?namespace=shop&name=web')).body.items;
    assert.is(pods.length, 1);
    assert.equal([pods[0].containerId, pods[0].inForce], ['c-web', true]);
    assert.equal((await ask('/nodes')).body.items, [
      {
        id: 1,
        name: 'n1',
        addresses: ['192.168.16.1', 'fd00:192:168:16::1'],
        podSubnets: ['10.1.1.0/24', 'fd00:10:1:1::/64'],
      },
    ]);
    const adds = (await ask('/events?name=CNI%20ADD')).body.items;
    assert.is(adds.length, 2);
    assert.equal((await ask(`/events?seq=${adds[1].seq}`)).body.items, [adds[1]]);
    assert.equal((await ask('/events?object=shop/web&failed=true')).body.items, []);
    assert.is((await ask('/events?last=1')).body.items[0].seq, adds[1].seq);
    assert.is(
      (await ask(`/events?since=${new Date(adds[1].end + 60_000).toISOString()}`)).body.items.length,
      0,
    );
    const ruleset = (await ask('/ruleset')).body.items;
    assert.equal((await ask('/backend')).body.items, ruleset);
    assert.ok(ruleset.length > 10);
    assert.equal(
      (await ask('/ruleset?kind=interface&prefix=interface/pod/')).body.items.map(
        ({ key }: { key: string }) => key,
      ),
      ['interface/pod/shop/db', 'interface/pod/shop/web'],
    );
    const lines = await ask('/ruleset?prefix=interface/pod/shop/web&as=text');
    assert.match(lines.text, /^interface\/pod\/shop\/web: link pt[0-9a-f]{13}, /);
    assert.match((await ask('/backend?as=table')).body.error, /as: text or json is needed/);
    assert.equal((await ask('/drift')).body.items, []);
    machine.dataplane.items.delete('snat');
    assert.match((await ask('/drift?as=text')).text, /^\+ snat: /);
    assert.equal(
      (await ask('/drift')).body.items.map(({ key }: { key: string }) => key),
      ['snat'],
    );
    const event = (await ask('/resync?kind=downstream', { method: 'POST' })).body;
    assert.equal([event.name, event.changes], ['resync downstream', ['+snat']]);
    assert.is((await ask('/audit', { method: 'POST' })).body.name, 'audit');
    assert.equal((await ask('/problems')).body.items, []);
    assert.is((await ask('/metrics')).text, 'none 1\n');
    const paths = (await ask('/')).body.items.map(({ path }: { path: string }) => path);
    for (const path of ['/', '/healthz', '/events', '/resync', '/metrics']) assert.ok(paths.includes(path));
  });
});

test('packets are traced by what the query says, and objects told by kind', async () => {
  const machine = new Machine();
  const source = new Source();
  await machine.put(pod('web'));
  const filters: unknown[] = [];
  const step = { packet: 1, time: 5, stage: 'parse', text: 'from a pod', interface: null, pod: null };
  const trace = (filter: unknown) => {
    filters.push(filter);
    return Promise.resolve({ stop: () => Promise.resolve([step]) });
  };
  const openBackend = async () => Object.assign(await machine.dataplane.open(), { trace });
  source.agent = await machine.agent({ openBackend });
  await serving(source, async (ask) => {
    const post = { method: 'POST' };
    assert.equal((await ask('/trace?source=10.1.1.2&port=80&seconds=1', post)).body.items, [step]);
    assert.equal(filters, [{ source: '10.1.1.2', port: 80 }]);
    for (const query of ['source=web', 'seconds=9', 'port=70000', 'protocol=tcp']) {
      assert.is((await ask(`/trace?${query}`, post)).status, 400, query);
    }
    const pods = (await ask('/objects?kind=Pod&namespace=shop')).body;
    assert.equal(
      pods.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name),
      ['web'],
    );
    assert.ok(pods.revision > 0);
    assert.is((await ask('/objects?kind=Secret')).status, 400);
    assert.ok((await ask('/objects')).body.items.length >= 3);
  });
});

test('a lost data plane: not ready, 503 where it is asked for, a problem', async () => {
  const machine = new Machine();
  const source = new Source();
  source.agent = await machine.agent();
  machine.dataplane.reachable = false;
  machine.dataplane.crash();
  await machine.until(({ ready }) => !ready);
  await serving(source, async (ask) => {
    assert.is((await ask('/backend')).status, 503);
    assert.is((await ask('/readyz')).status, 503);
    assert.is((await ask('/problems')).body.items[0].source, 'node');
  });
});

test('long lists come whole', async () => {
  const machine = new Machine();
  const source = new Source();
  source.agent = await machine.agent();
  for (let i = 0; i < 240; i++) await source.agent.cni.add(request(`p${i}`));
  await serving(source, async (ask) => {
    const { text, body } = await ask('/ruleset');
    assert.ok(text.length > 2 * 65_536, `${text.length}`);
    assert.is(body.items.length, source.agent?.state.ruleset.size);
    const head = await ask('/ruleset', { method: 'HEAD' });
    assert.equal([head.status, head.text], [200, '']);
  });
});

test('requests that cannot be served: an error with its status, as JSON', async () => {
  const machine = new Machine();
  const source = new Source();
  source.agent = await machine.agent();
  await serving(source, async (ask) => {
    const cases: [string, RequestOptions, number, RegExp][] = [
      ['/nothing', {}, 404, /no such path/],
      ['/pods', { method: 'POST' }, 405, /allows GET, HEAD/],
      ['/resync', {}, 405, /allows POST/],
      ['/resync?kind=all', { method: 'POST' }, 400, /one of upstream, downstream, full/],
      ['/events?seq=x', {}, 400, /seq must be a whole number/],
      ['/events?since=yesterday', {}, 400, /since must be a time/],
      ['/events?failed=1', {}, 400, /true or false/],
      ['/pods?pod=web', {}, 400, /unknown parameter pod; known are namespace, name/],
      ['/pods?name=a&name=b', {}, 400, /twice/],
      ['/events?name=a?failed=x&failed=x', {}, 400, /true or false/],
      ['/pods', { headers: { 'Content-Length': '5' } }, 413, /no body/],
      ['/pods', { headers: { Host: 'rebound.example' } }, 421, /not a name of this agent/],
      ['/pods', { headers: { Host: '127.0.0.1.example:9999' } }, 421, /not a name/],
      ['/resync', { method: 'POST', headers: { Origin: 'http://evil.example' } }, 403, /browsers/],
      ['/pods', { headers: { 'Sec-Fetch-Site': 'cross-site' } }, 403, /browsers/],
      ['/pods', { headers: { Host: 'localhost:1' } }, 200, /^undefined$/],
      ['/pods', { headers: { Host: '[::1]:1' } }, 200, /^undefined$/],
    ];
    for (const [path, options, status, error] of cases) {
      const reply = await ask(path, options);
      assert.is(reply.status, status, `${path} ${reply.text}`);
      assert.match(String(reply.body.error), error);
      assert.is(reply.headers['access-control-allow-origin'], undefined);
    }
    assert.is((await ask('/pods', { method: 'POST' })).headers['allow'], 'GET, HEAD');
  });
});

test('what is no HTTP, or too much of it, ends the connection and nothing else', async () => {
  const source = new Source();
  await serving(source, async (ask, { port }) => {
    const ended = (bytes: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect(port ?? 0, '127.0.0.1', () => socket.write(bytes));
        socket
          .on('error', () => undefined)
          .on('close', () => resolve())
          .resume();
      });
    await ended('\u0000\u0001\u0002\r\n\r\n');
    await ended(`GET /${'a'.repeat(40_000)} HTTP/1.1\r\n\r\n`);
    assert.is((await ask('/healthz')).status, 200);
  });
});

test('on a unix socket for its owner only', async () => {
  const path = join(directory, 'rest.sock');
  await serving(
    new Source(),
    async () => {
      assert.is(statSync(path).mode & 0o777, 0o600);
      assert.is(
        (await answerOf(httpRequest({ socketPath: path, path: '/healthz', agent: false }))).status,
        200,
      );
    },
    { listen: { path } },
  );
});

testIf(test, program('openssl'))('TLS, with client certificates where an authority is named', async () => {
  const made = makeCertificates(join(directory, 'tls'));
  const read = (file: string): string => readFileSync(file, 'utf8');
  const tls = { certFile: made.server.cert, keyFile: made.server.key, clientCaFile: made.ca };
  await serving(
    new Source(),
    async (ask, { port }) => {
      const secure = (pair: { cert: string; key: string } | null): Promise<Reply> =>
        answerOf(
          httpsRequest({
            ...{ host: '127.0.0.1', port: port ?? 0, path: '/healthz', agent: false, ca: read(made.ca) },
            ...(pair === null ? {} : { cert: read(pair.cert), key: read(pair.key) }),
          }),
        );
      assert.is((await secure(made.client)).status, 200);
      for (const pair of [null, made.stranger]) {
        await secure(pair).then(
          () => assert.unreachable(),
          (error: NodeJS.ErrnoException) => assert.match(error.message, /alert|reset|hang up|EPIPE/i),
        );
      }
      await ask('/healthz').then(
        () => assert.unreachable(),
        () => undefined,
      );
    },
    { tls },
  );
});

testIf(test, program('openssl'))('beyond loopback: strangers get health and metrics only', async () => {
  const made = makeCertificates(join(directory, 'open'));
  const tls = { certFile: made.server.cert, keyFile: made.server.key, clientCaFile: null };
  await serving(
    new Source(),
    async (_ask, { port }) => {
      const ask = (path: string, method = 'GET', host = '127.0.0.1'): Promise<Reply> => {
        const ca = readFileSync(made.ca, 'utf8');
        const to = { host: '127.0.0.1', port: port ?? 0, agent: false, servername: 'localhost', ca };
        return answerOf(httpsRequest({ ...to, path, method, headers: { Host: host } }));
      };
      for (const path of ['/', '/healthz', '/metrics']) assert.is((await ask(path)).status, 200);
      assert.is((await ask('/readyz')).status, 503, 'it is still starting');
      for (const path of ['/config', '/pods', '/objects', '/nothing']) {
        assert.match((await ask(path)).body.error, /beyond loopback only for clients with a certificate/);
      }
      for (const path of ['/resync', '/audit', '/trace', '/']) {
        const { status } = await ask(path, 'POST');
        assert.is(status, path === '/' ? 405 : 403);
      }
      assert.is((await ask('/healthz', 'GET', 'rebound.example')).status, 421);
    },
    { tls, listen: { host: '0.0.0.0', port: 0 } },
  );
});

test('names we may be called by: our own, loopback, and the address of the connection', () => {
  const own = new Set(['node-1']);
  for (const host of ['node-1:9', 'localhost', '127.0.0.1:1', '[::1]', '10.0.0.7:9999']) {
    assert.ok(isOwnHost(host, own, '::ffff:10.0.0.7'), host);
  }
  assert.ok(isOwnHost('[fd00::7]:1', own, 'fd00::7'));
  for (const host of ['', 'evil.example', '10.0.0.8', '[fd00::8]', undefined]) {
    assert.not(isOwnHost(host, own, '10.0.0.7'), host);
  }
});

test('a list of many pieces leaves no listener behind for each', async () => {
  const warnings: string[] = [];
  const warned = (warning: Error): void => {
    warnings.push(warning.name);
  };
  process.on('warning', warned);
  const items = Array.from({ length: 40_000 }, (_, i) => ({ i, text: 'x'.repeat(40) }));
  const route: Route = { method: 'GET', path: '/many', summary: '', query: [], handle: () => list(items) };
  const config = { listen: { host: '127.0.0.1', port: 0 }, tls: null, hosts: [] };
  const server = await serveRest(config, [route], (line) => lines.push(line));
  const to = { host: '127.0.0.1', port: server.port ?? 0, path: '/many', agent: false };
  assert.is((await answerOf(httpRequest(to))).body.items.length, items.length);
  await server.close();
  process.off('warning', warned);
  assert.equal(warnings, []);
});

test('docs/rest.md lists every request with its parameters, and no other', () => {
  const path = fileURLToPath(new URL('../../../../../docs/rest.md', import.meta.url));
  const rows = [...readFileSync(path, 'utf8').matchAll(/^\| `((?:GET|POST) [^`]*)` \|([^|]*)\|/gm)];
  const listed = rows.map(([, request, parameters]) => [request, parameters?.trim()]);
  const served = agentRoutes(new Source(), NO_METRICS).map(({ method, path: at, query }) => {
    return [`${method} ${at}`, query.map((name) => `\`${name}\``).join(', ')];
  });
  assert.equal(listed.sort(), served.sort());
});

test.after(() => rmSync(directory, { recursive: true, force: true }));
test.run();
