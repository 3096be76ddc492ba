/** The client against a peer that does what a real VPP does, and what it should never do. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fields, VppApi, VppEvent } from './api.js';
import { checkMessages } from './check.js';
import {
  DecodeError,
  EncodeError,
  MissingMessageError,
  VppConnectError,
  VppLostError,
  VppProtocolError,
  VppRetvalError,
  VppTimeoutError,
} from './errors.js';
import { frame } from './framing.js';
import { openVppApi } from './open.js';
import { randomSource } from './testing/random.js';
import { schemaOf } from './testing/recording.js';
import {
  type PeerOptions,
  type PeerRequest,
  type ScriptedPeer,
  scriptedPeer,
} from './testing/scripted-peer.js';

const schema = schemaOf('26.06');

async function withPeer(
  body: (api: VppApi, peer: ScriptedPeer) => Promise<void>,
  options: Partial<PeerOptions> & { readonly timeoutMilliseconds?: number } = {},
): Promise<void> {
  const peer = await scriptedPeer({ schema, ...options });
  const timeoutMilliseconds = options.timeoutMilliseconds ?? 5000;
  const api = await openVppApi({ socket: peer.socket, schema, name: 'test', timeoutMilliseconds });
  try {
    await body(api, peer);
  } finally {
    await api.close();
    await peer.close();
  }
}

/** What a promise fails with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => value,
    (error: unknown) => error,
  );
  if (outcome instanceof Error) return outcome;
  throw new Error(`did not fail: ${JSON.stringify(outcome)}`);
}

async function fails<T extends Error>(
  promise: Promise<unknown>,
  kind: new (...args: never[]) => T,
): Promise<T> {
  const error = await failure(promise);
  assert.instance(error, kind, error.message);
  return error as T;
}

test('a client knows the version and the process of its VPP', () =>
  withPeer(
    async (api) => {
      assert.is(api.version, '26.06');
      assert.is(api.pid, 99);
    },
    { pid: 99 },
  ));

test('a request carries its fields, and its reply comes back', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_add_replace', (request) => request.reply({ acl_index: 7 }));
    const reply = await api.request('acl_add_replace', { tag: 'web', r: [{ src_prefix: '10.0.0.0/8' }] });
    assert.equal(reply, { retval: 0, acl_index: 7 });
    const [asked] = peer.asked('acl_add_replace');
    assert.is(asked?.fields['tag'], 'web');
    assert.is(asked?.fields['acl_index'], 0);
    assert.is(asked?.fields['count'], 1);
  }));

test('requests of one tick leave in the order of the calls, and each gets its own reply', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_del', (request) => request.reply({ retval: Number(request.fields['acl_index']) }));
    const calls = Array.from({ length: 1000 }, (_, i) => api.request('acl_del', { acl_index: i }));
    const replies = await Promise.all(calls);
    assert.equal(
      replies.map(({ retval }) => retval),
      calls.map((_, i) => i),
    );
    const order = peer.asked('acl_del').map(({ fields }) => fields['acl_index']);
    assert.equal(
      order,
      calls.map((_, i) => i),
    );
  }));

test('replies out of order find their requests', () =>
  withPeer(async (api, peer) => {
    const held: PeerRequest[] = [];
    peer.on('acl_add_replace', (request) => {
      held.push(request);
      if (held.length < 3) return;
      for (const one of held.reverse()) one.reply({ acl_index: Number(one.fields['acl_index']) * 10 });
    });
    const replies = await Promise.all([1, 2, 3].map((i) => api.request('acl_add_replace', { acl_index: i })));
    assert.equal(
      replies.map((reply) => reply['acl_index']),
      [10, 20, 30],
    );
  }));

test('a refusal has VPP’s name for it', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_del', (request) => request.reply({ retval: -6 }));
    const error = await fails(api.request('acl_del'), VppRetvalError);
    assert.is(error.symbol, 'NO_SUCH_ENTRY');
    assert.is(error.retval, -6);
    assert.is(error.object, 'acl_del');
    assert.not(error.retryable);
    peer.on('acl_del', (request) => request.reply({ retval: -167 }));
    assert.ok((await fails(api.request('acl_del'), VppRetvalError)).retryable);
    peer.on('acl_del', (request) => request.reply({ retval: -9999 }));
    assert.is((await fails(api.request('acl_del'), VppRetvalError)).symbol, 'ERROR_-9999');
  }));

test('a command that fails says what VPP printed', () =>
  withPeer(async (api, peer) => {
    peer.on('cli_inband', ({ reply, fields }) =>
      fields['cmd'] === 'show version'
        ? reply({ reply: 'vpp v26\n' })
        : reply({ retval: -1, reply: 'unknown input\n' }),
    );
    assert.is(await api.cli('show version'), 'vpp v26\n');
    assert.match((await fails(api.cli('x'), VppRetvalError)).message, /unknown input$/);
  }));

test('a value that does not fit is refused, and nothing is sent', () =>
  withPeer(async (api, peer) => {
    const error = await fails(api.request('acl_del', { acl_index: -1 }), EncodeError);
    assert.is(error.object, 'acl_del');
    assert.is(error.field, 'acl_index');
    await api.request('show_version');
    assert.is(peer.asked('acl_del').length, 0);
  }));

test('a dump has all its details; another one meanwhile has its own', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_dump', (request) => {
      for (let i = 0; i < 3; i++) request.details({ acl_index: Number(request.fields['acl_index']) + i });
    });
    const [a, b] = await Promise.all([
      api.dump('acl_dump', { acl_index: 10 }),
      api.dump('acl_dump', { acl_index: 20 }),
    ]);
    const indexes = (list: readonly Fields[]) => list.map((entry) => entry['acl_index']);
    assert.equal(indexes(a), [10, 11, 12]);
    assert.equal(indexes(b), [20, 21, 22]);
    peer.on('acl_dump', () => {});
    assert.equal(await api.dump('acl_dump'), []);
  }));

test('a dump with a cursor goes on where it was told to', () =>
  withPeer(async (api, peer) => {
    peer.on('sw_interface_tx_placement_get', (request) => {
      const cursor = Number(request.fields['cursor']);
      request.details({ queue_id: cursor });
      request.reply(cursor < 3 ? { retval: -165, cursor: cursor + 1 } : { cursor: 0xffffffff });
    });
    const list = await api.dump('sw_interface_tx_placement_get');
    assert.equal(
      list.map((entry) => entry['queue_id']),
      [0, 1, 2, 3],
    );
    peer.on('sw_interface_tx_placement_get', (request) => request.reply({ retval: -6 }));
    await fails(api.dump('sw_interface_tx_placement_get'), VppRetvalError);
  }));

test('a dump is not a request, nor a request a dump', () =>
  withPeer(async (api) => {
    await fails(api.request('acl_dump'), VppProtocolError);
    await fails(api.dump('acl_del'), VppProtocolError);
  }));

test('events come between a request and its reply, to those who listen', () =>
  withPeer(async (api, peer) => {
    const seen: VppEvent[] = [];
    const stop = api.onEvent('sw_interface_event', (event) => seen.push(event));
    peer.on('create_loopback_instance', (request) => {
      request.event('sw_interface_event', { sw_if_index: 1, flags: ['IF_STATUS_API_FLAG_ADMIN_UP'] });
      request.reply({ sw_if_index: 1 });
      request.event('sw_interface_event', { sw_if_index: 2 });
    });
    assert.equal(await api.request('create_loopback_instance'), { retval: 0, sw_if_index: 1 });
    await api.request('show_version');
    assert.equal(
      seen.map(({ message, fields }) => [message, fields['sw_if_index']]),
      [
        ['sw_interface_event', 1],
        ['sw_interface_event', 2],
      ],
    );
    assert.equal(seen[0]?.fields['flags'], ['IF_STATUS_API_FLAG_ADMIN_UP']);
    stop();
    await api.request('create_loopback_instance');
    assert.is(seen.length, 2);
  }));

test('an event nobody can read ends the connection: what it said is not known', () =>
  withPeer(async (api, peer) => {
    api.onEvent('sw_interface_event', () => {});
    peer.on('acl_del', (request) => request.raw(frame(request.encode('sw_interface_event').subarray(0, 9))));
    const pending = failure(api.request('acl_del'));
    assert.instance(await api.lost, VppLostError);
    assert.instance(await pending, VppLostError);
  }));

test('late and duplicate replies are nobody’s', () =>
  withPeer(
    async (api, peer) => {
      let late: PeerRequest | undefined;
      peer.on('acl_del', (request) => {
        late = request;
      });
      const error = await fails(api.request('acl_del'), VppTimeoutError);
      assert.ok(error.retryable);
      assert.is(error.object, 'acl_del');
      late?.reply();
      late?.reply();
      peer.on('acl_add_replace', (request) => {
        request.reply({ acl_index: 1 });
        request.reply({ acl_index: 2 });
      });
      assert.is((await api.request('acl_add_replace'))['acl_index'], 1);
      assert.is((await api.request('acl_add_replace'))['acl_index'], 1);
    },
    { timeoutMilliseconds: 300 },
  ));

test('one request that is never answered does not hold up those behind it', () =>
  withPeer(
    async (api, peer) => {
      peer.on('acl_del', ({ fields, reply }) => {
        if (fields['acl_index'] !== 0) reply();
      });
      const calls = [0, 1, 0, 2, 0].map((i) => api.request('acl_del', { acl_index: i }));
      const outcomes = await Promise.allSettled(calls);
      assert.equal(
        outcomes.map(({ status }) => status),
        ['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'],
      );
    },
    { timeoutMilliseconds: 300 },
  ));

test('a batch that takes longer than the timeout is not late as long as it moves', () =>
  withPeer(
    async (api, peer) => {
      const queue: PeerRequest[] = [];
      const answerNext = () => {
        queue.shift()?.reply();
        if (queue.length > 0) setTimeout(answerNext, 90);
      };
      peer.on('acl_del', (request) => {
        if (queue.push(request) === 1) setTimeout(answerNext, 90);
      });
      await Promise.all(Array.from({ length: 8 }, () => api.request('acl_del')));
    },
    { timeoutMilliseconds: 500 },
  ));

test('a reply of another kind fails its request alone', () =>
  withPeer(async (api, peer) => {
    await api.request('acl_add_replace');
    peer.on('acl_del', (request) => request.reply({}, 'acl_add_replace_reply'));
    await fails(api.request('acl_del'), VppProtocolError);
    assert.is((await api.request('show_version'))['version'], '26.06');
  }));

test('a reply cut short fails its request alone', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_add_replace', (request) =>
      request.raw(frame(request.encode('acl_add_replace_reply').subarray(0, 8))),
    );
    assert.is((await fails(api.request('acl_add_replace'), DecodeError)).object, 'acl_add_replace_reply');
    peer.on('acl_dump', (request) => {
      request.details();
      request.raw(frame(request.encode('acl_details').subarray(0, 20)));
    });
    await fails(api.dump('acl_dump'), DecodeError);
    assert.is((await api.request('show_version'))['version'], '26.06');
  }));

test('a connection lost in the middle fails all that wait, retryable, and says so once', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_add_replace', (request) => {
      if (request.fields['acl_index'] !== 1) peer.drop();
      else request.reply({ acl_index: 5 });
    });
    const done = api.request('acl_add_replace', { acl_index: 1 });
    const waiting = [2, 3].map((i) => failure(api.request('acl_add_replace', { acl_index: i })));
    const dump = failure(api.dump('acl_dump'));
    assert.is((await done)['acl_index'], 5);
    for (const error of await Promise.all([...waiting, dump])) {
      assert.instance(error, VppLostError);
      assert.ok((error as VppLostError).retryable);
    }
    assert.instance(await api.lost, VppLostError);
    await fails(api.request('show_version'), VppLostError);
  }));

test('a length that cannot be ends the connection', () =>
  withPeer(async (api, peer) => {
    const header = Buffer.alloc(16);
    header.writeUInt32BE(0xfffffff0, 8);
    peer.on('acl_del', (request) => request.raw(header));
    await fails(api.request('acl_del'), VppProtocolError);
    assert.instance(await api.lost, VppProtocolError);
  }));

test('bytes come in any pieces; large messages both ways', () =>
  withPeer(async (api, peer) => {
    peer.on('acl_dump', (request) => {
      const r = Array.from({ length: 20_000 }, (_, i) => ({ src_prefix: `10.0.${i >> 8}.${i & 255}/32` }));
      const bytes = frame(request.encode('acl_details', { r }));
      for (let at = 0; at < bytes.length; at += 9_973) request.raw(bytes.subarray(at, at + 9_973));
    });
    const [acl] = await api.dump('acl_dump');
    const rules = acl?.['r'] as readonly Fields[];
    assert.is(rules.length, 20_000);
    assert.is(rules[19_999]?.['src_prefix'], '10.0.78.31/32');
    peer.on('acl_add_replace', (request) => request.reply({ acl_index: Number(request.fields['count']) }));
    assert.is((await api.request('acl_add_replace', { r: rules }))['acl_index'], 20_000);
  }));

test('to a VPP that does not read, no more is encoded than the socket takes; then all goes on in order', () =>
  withPeer(async (api, peer) => {
    await api.request('show_version');
    peer.pause();
    let encoded = 0;
    const tag = {
      // The codec takes the text when it writes it.
      get tag() {
        encoded++;
        return 'x'.repeat(50);
      },
    };
    const calls = Array.from({ length: 20_000 }, (_, i) =>
      i === 19_000
        ? failure(api.request('acl_add_replace', { acl_index: -1 }))
        : api.request('acl_add_replace', Object.assign(Object.create(tag) as object, { acl_index: i })),
    );
    const dump = api.dump('acl_dump', { acl_index: 7 });
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(encoded > 1000 && encoded < 15_000, `${encoded} encoded`);
    peer.resume();
    const outcomes = await Promise.all(calls);
    assert.instance(outcomes[19_000], EncodeError);
    assert.equal(await dump, []);
    const order = peer.asked('acl_add_replace').map(({ fields }) => fields['acl_index']);
    assert.is(order.length, 19_999);
    assert.ok(order.every((index, i) => index === (i < 19_000 ? i : i + 1)));
  }));

test('what waits to leave when the connection is lost fails as the rest', () =>
  withPeer(async (api, peer) => {
    await api.request('show_version');
    peer.pause();
    const calls = Array.from({ length: 20_000 }, () => failure(api.request('acl_add_replace', { tag: 'x' })));
    await new Promise((resolve) => setImmediate(resolve));
    peer.drop();
    for (const error of await Promise.all(calls)) assert.instance(error, VppLostError);
  }));

test('what is missing, or has another form, is told in full and refused by name', () =>
  withPeer(
    async (api) => {
      const problems = checkMessages(api, [
        'acl_del',
        'acl_add_replace',
        'acl_dump',
        'no_such',
        'acl_add_replace',
      ]);
      assert.equal(
        problems.map(({ message }) => message),
        ['acl_add_replace', 'acl_dump', 'no_such'],
      );
      assert.match(problems[0]?.problem ?? '', /another form/);
      assert.match(problems[1]?.problem ?? '', /no such message: acl_details/);
      assert.ok(api.has('acl_del'));
      assert.not(api.has('acl_dump'));
      await fails(api.request('acl_add_replace'), MissingMessageError);
      await fails(api.dump('acl_dump'), MissingMessageError);
    },
    { without: ['acl_details'], crcs: { acl_add_replace: '00000000' } },
  ));

test('close waits for what was asked before, and refuses what comes after', async () => {
  const peer = await scriptedPeer({ schema });
  const api = await openVppApi({ socket: peer.socket, schema, name: 'test' });
  const before = api.request('acl_add_replace');
  const closing = api.close();
  await fails(api.request('acl_del'), VppLostError);
  assert.is((await before)['retval'], 0);
  await closing;
  assert.is(peer.asked('sockclnt_delete').length, 1);
  await api.close();
  await peer.close();
});

test('no VPP, or something else behind the socket', async () => {
  const error = await fails(openVppApi({ socket: '/nowhere/api.sock', name: 'test' }), VppConnectError);
  assert.ok(error.retryable);
  assert.is(error.object, '/nowhere/api.sock');
});

test('garbage in place of replies on 200 connections: every request ends, with an error of ours', async () => {
  const random = randomSource(8);
  const peer = await scriptedPeer({ schema });
  let spoilt = 0;
  const garble = (request: PeerRequest) => {
    const reply = request.message === 'acl_dump' ? 'acl_details' : `${request.message}_reply`;
    const bytes = frame(request.encode(reply));
    for (let n = random(6); n > 0; n--) bytes[random(bytes.length)] = random(256);
    if (random(3) === 0) request.raw(bytes.subarray(0, random(bytes.length)));
    else request.raw(bytes);
    if (random(4) === 0) request.drop();
    spoilt++;
  };
  for (const message of ['acl_add_replace', 'acl_del', 'acl_dump']) peer.on(message, garble);
  const connection = async () => {
    const api = await openVppApi({ socket: peer.socket, schema, name: 'test', timeoutMilliseconds: 400 });
    const outcomes = await Promise.allSettled([
      api.request('acl_add_replace'),
      api.dump('acl_dump'),
      api.request('acl_del'),
      api.dump('acl_dump'),
      api.request('acl_del'),
    ]);
    await api.close();
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      const name = (outcome.reason as Error).constructor.name;
      assert.ok(/^(Vpp\w+|Decode)Error$/.test(name), `${name}: ${(outcome.reason as Error).stack}`);
    }
  };
  try {
    for (let i = 0; i < 5; i++) await Promise.all(Array.from({ length: 40 }, connection));
  } finally {
    await peer.close();
  }
  assert.ok(spoilt > 400);
});

test.run();
