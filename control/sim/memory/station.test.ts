import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checksum, ethernet, ipv4, PROTOCOL_UDP, parseEthernet, parseIpv4 } from './packet.js';
import { probe } from './probe.js';
import { Station } from './station.js';
import { Switch } from './switch.js';
import { parseTcp, parseUdp, SYN, tcp, udp } from './transport.js';

const bytes = (text: string) => new TextEncoder().encode(text);

/** Stations on one switch, on one network, which find each other by ARP. */
function network(...addresses: readonly string[]): readonly Station[] {
  const lan = new Switch();
  return addresses.map((address, i) => {
    const station: Station = new Station({
      mac: `02:00:00:00:00:0${i}`,
      addresses: [address],
      routes: ['10.0.0.0/24', 'fd00::/64'].map((destination) => ({ destination, nextHop: null })),
      neighbors: new Map(),
      send: (frame) => queueMicrotask(() => lan.forward(address, frame)),
    });
    lan.connect(address, (frame) => station.receive(frame));
    return station;
  });
}

const ask = (from: Station, address: string, port: number, protocol: 'tcp' | 'udp' | 'icmp') =>
  probe(from, { address, port, protocol, timeoutMs: 150 });

test('the checksum is that of RFC 1071', () => {
  assert.is(checksum(Uint8Array.from([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0x220d);
});

test('packets come back as they were built, damaged ones do not', () => {
  const segment = udp({ sourcePort: 1, destinationPort: 2, payload: bytes('hello') }, '10.0.0.1', '10.0.0.2');
  const packet = ipv4({
    source: '10.0.0.1',
    destination: '10.0.0.2',
    protocol: PROTOCOL_UDP,
    payload: segment,
  });
  const frame = ethernet({
    destination: '02:00:00:00:00:02',
    source: '02:00:00:00:00:01',
    type: 0x0800,
    payload: packet,
  });
  const read = () => {
    const ip = parseIpv4(parseEthernet(frame)?.payload ?? new Uint8Array());
    return ip === null ? null : parseUdp(ip);
  };
  assert.equal(read()?.payload, bytes('hello'));
  frame[frame.length - 1]! ^= 1;
  assert.is(read(), null, 'UDP checksum');
  frame[frame.length - 1]! ^= 1;
  frame[22]! ^= 1;
  assert.is(read(), null, 'header checksum');
});

test('the same over IPv6, where neighbors find each other by solicitation', async () => {
  const [client, server] = network('fd00::1', 'fd00::2') as [Station, Station];
  server.servers.listen('TCP', 80, 'shop/web');
  server.servers.listen('UDP', 53, 'ops/dns');
  const tcp = await ask(client, 'fd00::2', 80, 'tcp');
  assert.equal([tcp.outcome, tcp.answer], ['connected', 'shop/web']);
  const udp = await ask(client, 'fd00::2', 53, 'udp');
  assert.equal([udp.outcome, udp.answer], ['connected', 'ops/dns']);
  assert.is((await ask(client, 'fd00::2', 0, 'icmp')).outcome, 'connected');
  assert.is((await ask(client, 'fd00::2', 81, 'tcp')).outcome, 'refused');
  assert.is((await ask(client, 'fd00::2', 54, 'udp')).outcome, 'refused', 'by an ICMPv6 error');
  assert.is((await ask(client, 'fd00::9', 80, 'tcp')).outcome, 'timeout', 'nobody answers the solicitation');
  for (const station of [client, server]) station.close();
});

test('TCP, UDP and ICMP reach who listens, and learn who it is', async () => {
  const [a, b] = network('10.0.0.1', '10.0.0.2');
  b!.servers.listen('TCP', 80, 'shop/web');
  b!.servers.listen('UDP', 53, 'ops/dns');
  const [overTcp, overUdp, ping] = await Promise.all([
    ask(a!, '10.0.0.2', 80, 'tcp'),
    ask(a!, '10.0.0.2', 53, 'udp'),
    ask(a!, '10.0.0.2', 0, 'icmp'),
  ]);
  assert.equal([overTcp.outcome, overTcp.answer], ['connected', 'shop/web']);
  assert.equal([overUdp.outcome, overUdp.answer], ['connected', 'ops/dns']);
  assert.is(ping.outcome, 'connected');
});

test('closed ports refuse, absent hosts are silent', async () => {
  const [a] = network('10.0.0.1', '10.0.0.2');
  const results = await Promise.all([
    ask(a!, '10.0.0.2', 81, 'tcp'),
    ask(a!, '10.0.0.2', 81, 'udp'),
    ask(a!, '10.0.0.99', 80, 'tcp'),
    ask(a!, '192.0.2.1', 80, 'tcp'),
  ]);
  assert.equal(
    results.map(({ outcome }) => outcome),
    ['refused', 'refused', 'timeout', 'timeout'],
  );
});

test('a host reaches itself without the link', async () => {
  const [a] = network('10.0.0.1');
  a!.servers.listen('TCP', 80, 'shop/a');
  assert.is((await ask(a!, '10.0.0.1', 80, 'tcp')).answer, 'shop/a');
  assert.is((await ask(a!, '10.0.0.1', 81, 'tcp')).outcome, 'refused');
});

test('a lost segment is sent again, on both ways', async () => {
  for (const lose of [0, 1, 2, 3]) {
    const lan = new Switch();
    let sent = -1;
    const stations = ['10.0.0.1', '10.0.0.2'].map((address, i) => {
      const other = `10.0.0.${2 - i}`;
      const station: Station = new Station({
        mac: `02:00:00:00:00:0${i}`,
        addresses: [address],
        routes: [{ destination: '0.0.0.0/0', nextHop: null }],
        neighbors: new Map([[other, `02:00:00:00:00:0${1 - i}`]]),
        send: (frame) => {
          sent++;
          if (sent !== lose) queueMicrotask(() => lan.forward(address, frame));
        },
      });
      lan.connect(address, (frame) => station.receive(frame));
      return station;
    });
    stations[1]!.servers.listen('TCP', 80, 'shop/web');
    const { answer } = await probe(stations[0]!, {
      address: '10.0.0.2',
      port: 80,
      protocol: 'tcp',
      timeoutMs: 1000,
    });
    assert.is(answer, 'shop/web', `segment ${lose} lost`);
  }
});

test('TCP fields survive the way', () => {
  const segment = {
    sourcePort: 40000,
    destinationPort: 80,
    sequence: 0xfffffff0,
    acknowledgment: 7,
    flags: SYN,
    payload: bytes(''),
  };
  const payload = tcp(segment, '10.0.0.1', '10.0.0.2');
  const packet = parseIpv4(ipv4({ source: '10.0.0.1', destination: '10.0.0.2', protocol: 6, payload }));
  assert.equal(packet === null ? null : parseTcp(packet), segment);
});

test('a switch floods what it does not know and learns where stations are', () => {
  const lan = new Switch();
  const got: string[] = [];
  for (const port of ['a', 'b', 'c']) lan.connect(port, () => got.push(port));
  const frame = (destination: string, source: string) =>
    ethernet({ destination, source, type: 0x0800, payload: new Uint8Array(46) });
  lan.forward('a', frame('02:00:00:00:00:0b', '02:00:00:00:00:0a'));
  assert.equal(got.splice(0), ['b', 'c']);
  lan.forward('b', frame('02:00:00:00:00:0a', '02:00:00:00:00:0b'));
  assert.equal(got.splice(0), ['a']);
  lan.forward('c', frame('ff:ff:ff:ff:ff:ff', '02:00:00:00:00:0c'));
  assert.equal(got.splice(0), ['a', 'b']);
});

test.run();
