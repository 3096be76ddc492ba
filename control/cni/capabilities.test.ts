/** What container runtimes really pass in runtimeConfig. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseBandwidth, parsePortMappings } from './capabilities.js';

test('host ports as containerd 1.6 to 2.1 writes them, and as CRI-O and cnitool do', () => {
  const expected = [{ hostPort: 8088, containerPort: 8080, protocol: 'TCP', hostIP: null }];
  const containerd = '[{"HostPort":8088,"ContainerPort":8080,"Protocol":"tcp","HostIP":""}]';
  const crio = '[{"hostPort":8088,"containerPort":8080,"protocol":"tcp","hostIP":""}]';
  assert.equal(parsePortMappings(JSON.parse(containerd)), expected);
  assert.equal(parsePortMappings(JSON.parse(crio)), expected);
});

test('rates as containerd writes them, and as CRI-O does', () => {
  const expected = {
    toPod: { bitsPerSecond: 1_000_000, burstBits: 4_294_967_295 },
    fromPod: null,
  };
  const containerd = '{"IngressRate":1000000,"IngressBurst":4294967295,"EgressRate":0,"EgressBurst":0}';
  assert.equal(parseBandwidth(JSON.parse(containerd)), expected);
  assert.equal(parseBandwidth(JSON.parse('{"ingressRate":1000000,"ingressBurst":4294967295}')), expected);
});

test('of a name in two cases the one that is written exactly counts', () => {
  const [port] = parsePortMappings([{ HostPort: 1, hostPort: 2, containerPort: 80 }]);
  assert.is(port?.hostPort, 2);
});

test.run();
