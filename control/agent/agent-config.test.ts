import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidInputError } from '../common/errors.js';
import { DEFAULT_CONFIG } from '../compiler/input.js';
import { parseAgentConfig } from './agent-config.js';

const LEAST = { node: 'n1', store: '/run/store', dataplane: '/run/dp', uplink: 'eth0' };

test('what is absent has its default', () => {
  assert.equal(parseAgentConfig(LEAST, 'f'), {
    ...LEAST,
    backend: 'wasm',
    vpp: null,
    store: { socket: LEAST.store },
    cni: '/run/pteropus/cni.sock',
    cniBinDir: null,
    cniConfDir: null,
    journal: '/var/lib/pteropus/journal.json',
    mirror: '/var/lib/pteropus/mirror',
    netns: '/proc/self/ns/net',
    addresses: null,
    cluster: DEFAULT_CONFIG,
    podFeed: 'afxdp',
    workers: 1,
    rest: { listen: { host: '127.0.0.1', port: 9999 }, tls: null, hosts: [] },
    resyncIntervalSeconds: 0,
    statusIntervalSeconds: 1,
    dieWithStdin: false,
  });
});

test('what is wrong names the file and the field', () => {
  const cases: [object, RegExp][] = [
    [{ ...LEAST, node: '' }, /^f: node: /],
    [{ ...LEAST, uplink: 7 }, /uplink: must be text/],
    [{ ...LEAST, sockt: '/x' }, /sockt: unknown field/],
    [{ ...LEAST, addresses: [] }, /addresses: must be a list/],
    [{ ...LEAST, addresses: ['10.0.0.1', 'x'] }, /addresses\[1\]: not an IP address/],
    [{ ...LEAST, dieWithStdin: 1 }, /dieWithStdin/],
    [{ ...LEAST, rest: '0.0.0.0:1' }, /f: rest\.listen: beyond loopback/],
    [{ ...LEAST, resyncIntervalSeconds: -1 }, /resyncIntervalSeconds: must be a number/],
    [{ ...LEAST, workers: 17 }, /workers: must be a whole number from 1 to 16/],
    [{ ...LEAST, workers: 0 }, /workers: must be a whole number from 1 to 16/],
    [{ ...LEAST, statusIntervalSeconds: '1' }, /statusIntervalSeconds: must be a number/],
    [{ ...LEAST, cluster: { vni: 0 } }, /f cluster: vni/],
    [[], /must be a mapping/],
  ];
  for (const [value, pattern] of cases) {
    assert.throws(
      () => parseAgentConfig(value, 'f'),
      (e: Error) => e instanceof InvalidInputError && pattern.test(e.message),
      JSON.stringify(value),
    );
  }
});

test.run();
