/** CNI cases that the agent answers: a fresh one for each, whose first pod gets 10.1.1.2. */

import { podLinkName } from '../../control/agent/links.js';
import { CNI } from '../../control/cni/codes.js';
import { podMacs } from '../../control/ipam/arithmetic.js';
import { type Case, conf, ENV, type Environment, NEWEST, STATUS_ENV, step, VERSIONS } from './cases.js';

const ID = 'abc-123_x.y';
const MACS = podMacs(ID, 'eth0');
const ROUTES = [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }];

/** What ADD answers the first pod; `before`: interfaces of a plugin before us. */
function result(
  version: string,
  before: readonly object[] = [],
  change: object = {},
): Record<string, unknown> {
  const mtu = version === '1.1.0' ? { mtu: 1450 } : {};
  const interfaces = [
    { name: podLinkName(ID, 'eth0'), mac: MACS.dataplane, ...mtu },
    { name: 'eth0', mac: MACS.pod, ...mtu, sandbox: '/run/netns/x' },
  ];
  return {
    cniVersion: version,
    interfaces: [...before, ...interfaces],
    ips: [ip(version, before.length + 1)],
    routes: ROUTES,
    dns: {},
    ...change,
  };
}

function ip(version: string, index: number): object {
  const family = version.startsWith('0.') ? { version: '4' } : {};
  return { ...family, interface: index, address: '10.1.1.2/32', gateway: '10.1.1.1' };
}

/** A result of a plugin before us, with everything that versions write differently. */
function previous(version: string): Record<string, unknown> {
  const family = version.startsWith('0.') ? { version: '6' } : {};
  const newer = version === '1.1.0';
  return {
    cniVersion: version,
    interfaces: [{ name: 'dummy0', ...(newer ? { mtu: 9000 } : {}) }],
    ips: [{ ...family, interface: 0, address: '2001:db8::1/64' }],
    routes: [{ dst: '198.51.100.0/24', ...(newer ? { priority: 5 } : {}) }],
    dns: { nameservers: ['192.0.2.53'] },
  };
}

/** ADD of a version, behind a plugin that spoke another one. */
function chained(version: string, earlier: string): Case {
  const own = previous(version);
  const keeps = version === '1.1.0' && earlier === '1.1.0';
  const links = keeps ? own['interfaces'] : [{ name: 'dummy0' }];
  const routes = keeps ? own['routes'] : [{ dst: '198.51.100.0/24' }];
  return {
    name: `ADD ${version} behind a result of ${earlier}`,
    ...step('ADD', conf(version, { prevResult: previous(earlier) })),
    code: 0,
    answer: result(version, links as object[], {
      ips: [...(own['ips'] as object[]), ip(version, 2)],
      routes: [...(routes as object[]), ...ROUTES],
      dns: { nameservers: ['192.0.2.53'] },
    }),
  };
}

function wrongEnvironment(name: string, change: Environment, answer: RegExp, command = 'ADD'): Case {
  const env = { ...ENV, ...change };
  return { name, ...step(command, conf(), env), code: CNI.invalidEnvironment, answer };
}

function wrongConfig(name: string, change: object, answer: RegExp): Case {
  return { name, ...step('ADD', conf('1.0.0', change)), code: CNI.invalidConfig, answer };
}

const ports = (...portMappings: readonly object[]): object => ({ runtimeConfig: { portMappings } });
const bandwidth = (value: unknown): object => ({ runtimeConfig: { bandwidth: value } });
const PORT = { hostPort: 8080, containerPort: 80, protocol: 'tcp' };
const OTHER: Environment = {
  ...ENV,
  CNI_CONTAINERID: 'other',
  CNI_NETNS: '/run/netns/other',
  CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=other',
};
const attachments = (...list: readonly unknown[]): object => ({ 'cni.dev/valid-attachments': list });
const add = step('ADD');
const check = (prevResult: object, version = '1.0.0', env = ENV): ReturnType<typeof step> =>
  step('CHECK', conf(version, { prevResult }), env);
const stillThere = (env = ENV): ReturnType<typeof step> => check({}, '1.0.0', env);

export const WITH_AGENT: readonly Case[] = [
  ...VERSIONS.map((version): Case => {
    return { name: `ADD ${version}`, ...step('ADD', conf(version)), code: 0, answer: result(version) };
  }),
  { name: 'ADD again: the same answer', before: [add], ...add, code: 0, answer: result('1.0.0') },
  {
    name: 'ADD after DEL',
    before: [add, step('DEL')],
    ...add,
    code: 0,
    answer: result('1.0.0', [], { ips: [{ interface: 1, address: '10.1.1.3/32', gateway: '10.1.1.1' }] }),
  },
  {
    name: 'ADD without Kubernetes',
    ...step('ADD', conf(), { ...ENV, CNI_ARGS: '' }),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with the dns of the configuration',
    ...step('ADD', conf('1.0.0', { dns: { search: ['a.b'] } })),
    code: 0,
    answer: result('1.0.0', [], { dns: { search: ['a.b'] } }),
  },
  {
    name: 'ADD with unknown fields',
    ...step('ADD', conf('1.0.0', { later: [1], 'a.b/c': {} })),
    code: 0,
    answer: result('1.0.0'),
  },
  ...VERSIONS.flatMap((version) => VERSIONS.map((earlier) => chained(version, earlier))),
  {
    name: 'ADD of a name that the sandbox has',
    before: [add],
    ...step('ADD', conf(), { ...ENV, CNI_CONTAINERID: 'second', CNI_ARGS: '' }),
    code: CNI.failed,
    answer: /already/,
  },
  {
    name: 'ADD of a second interface',
    before: [add],
    ...step('ADD', conf(), { ...ENV, CNI_IFNAME: 'net1' }),
    code: CNI.invalidConfig,
    answer: /has its interface already/,
  },
  {
    name: 'ADD for an earlier pod’s successor',
    ...step('ADD', conf(), { ...ENV, CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u2' }),
    code: CNI.tryAgainLater,
    answer: /only an earlier pod shop\/web is known yet/,
  },
  {
    name: 'ADD with a host port',
    ...step('ADD', conf('1.0.0', ports(PORT))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with host ports that differ by protocol',
    ...step('ADD', conf('1.0.0', ports(PORT, { ...PORT, protocol: 'UDP' }, { ...PORT, protocol: 'sctp' }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with a port mapping without host port',
    ...step('ADD', conf('1.0.0', ports({ containerPort: 80 }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with a host port on the node’s address',
    ...step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '192.168.16.1' }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with a limit',
    ...step('ADD', conf('1.0.0', bandwidth({ ingressRate: 1e6, ingressBurst: 2e6 }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'ADD with limits of 0',
    ...step('ADD', conf('1.0.0', bandwidth({ ingressRate: 0, egressRate: 0, egressBurst: 0 }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'a host port that another pod has',
    before: [step('ADD', conf('1.0.0', ports(PORT)), OTHER)],
    ...step('ADD', conf('1.0.0', ports(PORT))),
    code: CNI.tryAgainLater,
    answer: /host port TCP 8080 belongs to pod shop\/other/,
  },
  {
    name: 'a host port that another pod had',
    before: [step('ADD', conf('1.0.0', ports(PORT)), OTHER), step('DEL', conf(), OTHER)],
    ...step('ADD', conf('1.0.0', ports(PORT))),
    code: 0,
    answer: result('1.0.0', [], { ips: [{ interface: 1, address: '10.1.1.3/32', gateway: '10.1.1.1' }] }),
  },
  {
    name: 'the same host port on all addresses and on one',
    before: [step('ADD', conf('1.0.0', ports(PORT)), OTHER)],
    ...step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '192.168.16.1' }))),
    code: CNI.tryAgainLater,
    answer: /belongs to pod/,
  },
  {
    name: 'one host port of each family, as runtimes that know both ask for it',
    ...step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '0.0.0.0' }, { ...PORT, hostIP: '::' }))),
    code: 0,
    answer: result('1.0.0'),
  },
  {
    name: 'a host port of one family that another pod has for both',
    before: [step('ADD', conf('1.0.0', ports(PORT)), OTHER)],
    ...step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '0.0.0.0' }))),
    code: CNI.tryAgainLater,
    answer: /host port TCP 0\.0\.0\.0:8080 belongs to pod shop\/other/,
  },
  {
    name: 'the same host port of the other family',
    before: [step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '::' })), OTHER)],
    ...step('ADD', conf('1.0.0', ports({ ...PORT, hostIP: '192.168.16.1' }))),
    code: 0,
    answer: result('1.0.0', [], { ips: [{ interface: 1, address: '10.1.1.3/32', gateway: '10.1.1.1' }] }),
  },

  ...VERSIONS.map((version): Case => {
    return { name: `DEL ${version}`, before: [add], ...step('DEL', conf(version)), code: 0, answer: '' };
  }),
  ...[
    { ipam: { type: 'host-local' } },
    { dns: 'x' },
    { prevResult: [] },
    ports(PORT, PORT),
    bandwidth(5),
  ].map(
    (change): Case => ({
      name: `DEL of what ADD refuses: ${JSON.stringify(change)}`,
      ...step('DEL', conf('1.0.0', change)),
      code: 0,
      answer: '',
    }),
  ),
  { name: 'DEL twice', before: [add, step('DEL')], ...step('DEL'), code: 0, answer: '' },
  { name: 'DEL of a container nobody knows', ...step('DEL'), code: 0, answer: '' },
  {
    name: 'DEL without namespace',
    before: [add],
    ...step('DEL', conf(), { ...ENV, CNI_NETNS: '' }),
    code: 0,
    answer: '',
  },
  {
    name: 'DEL of a namespace that is gone',
    ...step('DEL', conf(), { ...ENV, CNI_NETNS: '/run/netns/never' }),
    code: 0,
    answer: '',
  },
  {
    name: 'DEL with prevResult',
    before: [add],
    ...step('DEL', conf('1.0.0', { prevResult: result('1.0.0') })),
    code: 0,
    answer: '',
  },
  {
    name: 'DEL without CNI_ARGS',
    before: [add],
    ...step('DEL', conf(), { ...ENV, CNI_ARGS: '' }),
    code: 0,
    answer: '',
  },
  {
    name: 'DEL of an earlier sandbox leaves its successor',
    before: [
      add,
      step('ADD', conf(), { ...ENV, CNI_CONTAINERID: 'next', CNI_NETNS: '/run/netns/next' }),
      step('DEL'),
    ],
    ...stillThere({ ...ENV, CNI_CONTAINERID: 'next', CNI_NETNS: '/run/netns/next' }),
    code: 0,
    answer: '',
  },

  ...['0.4.0', '1.0.0', '1.1.0'].map((version): Case => {
    const checked = check(result(version), version);
    return {
      name: `CHECK ${version}`,
      before: [step('ADD', conf(version))],
      ...checked,
      code: 0,
      answer: '',
    };
  }),
  {
    name: 'CHECK with a host port',
    before: [step('ADD', conf('1.0.0', ports(PORT)))],
    ...stillThere(),
    code: 0,
    answer: '',
  },
  {
    name: 'CHECK 0.3.1',
    before: [add],
    ...check({}, '0.3.1'),
    code: CNI.incompatibleVersion,
    answer: /CHECK came with cniVersion 0\.4\.0/,
  },
  {
    name: 'CHECK without prevResult',
    before: [add],
    ...step('CHECK'),
    code: CNI.invalidConfig,
    answer: /CHECK needs prevResult/,
  },
  {
    name: 'CHECK of a container nobody knows',
    ...stillThere(),
    code: CNI.unknownContainer,
    answer: /no such sandbox/,
  },
  {
    name: 'CHECK after DEL',
    before: [add, step('DEL')],
    ...stillThere(),
    code: CNI.unknownContainer,
    answer: /no such sandbox/,
  },
  {
    name: 'CHECK in another namespace',
    before: [add],
    ...stillThere({ ...ENV, CNI_NETNS: '/run/netns/y' }),
    code: CNI.differs,
    answer: /namespace differs/,
  },
  {
    name: 'CHECK with a prevResult that lacks our address',
    before: [add],
    ...check(result('1.0.0', [], { ips: [{ interface: 1, address: '10.1.1.9/32' }] })),
    code: CNI.differs,
    answer: /prevResult lacks 10\.1\.1\.2\/32 of eth0; eth0 does not have 10\.1\.1\.9\/32/,
  },

  { name: 'STATUS', ...step('STATUS', conf(NEWEST), STATUS_ENV), code: 0, answer: '' },
  ...['0.3.1', '0.4.0', '1.0.0'].flatMap((version): readonly Case[] =>
    ['STATUS', 'GC'].map((command) => ({
      name: `${command} ${version}`,
      ...step(command, conf(version, attachments()), STATUS_ENV),
      code: CNI.incompatibleVersion,
      answer: new RegExp(`${command} came with cniVersion 1\\.1\\.0`),
    })),
  ),
  { name: 'GC of nothing', ...step('GC', conf(NEWEST, attachments()), STATUS_ENV), code: 0, answer: '' },
  {
    name: 'GC keeps what is valid',
    before: [add, step('GC', conf(NEWEST, attachments({ containerID: ID, ifname: 'eth0' })), STATUS_ENV)],
    ...stillThere(),
    code: 0,
    answer: '',
  },
  {
    name: 'GC unwires the rest',
    before: [add, step('GC', conf(NEWEST, attachments()), STATUS_ENV)],
    ...stillThere(),
    code: CNI.unknownContainer,
    answer: /no such sandbox/,
  },
  {
    name: 'GC with null, as libcni writes an empty list',
    before: [add, step('GC', conf(NEWEST, { 'cni.dev/valid-attachments': null }), STATUS_ENV)],
    ...stillThere(),
    code: CNI.unknownContainer,
    answer: /no such sandbox/,
  },
  {
    name: 'GC by interface',
    before: [add, step('GC', conf(NEWEST, attachments({ containerID: ID, ifname: 'eth1' })), STATUS_ENV)],
    ...stillThere(),
    code: CNI.unknownContainer,
    answer: /no such sandbox/,
  },
  {
    name: 'GC of another network',
    before: [add, step('GC', conf(NEWEST, { name: 'else', ...attachments() }), STATUS_ENV)],
    ...stillThere(),
    code: 0,
    answer: '',
  },
  {
    name: 'GC without its list unwires nothing',
    before: [add, step('GC', conf(NEWEST), STATUS_ENV)],
    ...stillThere(),
    code: 0,
    answer: '',
  },
  {
    name: 'GC with a list that is none',
    ...step('GC', conf(NEWEST, { 'cni.dev/valid-attachments': {} }), STATUS_ENV),
    code: CNI.invalidConfig,
    answer: /valid-attachments is not a list/,
  },
  {
    name: 'GC with a list of nonsense',
    ...step('GC', conf(NEWEST, attachments({ containerID: ID })), STATUS_ENV),
    code: CNI.invalidConfig,
    answer: /\[0\]\.ifname/,
  },
  {
    name: 'GC with a path as container',
    ...step('GC', conf(NEWEST, attachments({ containerID: '../x', ifname: 'eth0' })), STATUS_ENV),
    code: CNI.invalidConfig,
    answer: /\[0\]\.containerID/,
  },

  wrongEnvironment('a path as container', { CNI_CONTAINERID: '../../etc' }, /CNI_CONTAINERID/),
  wrongEnvironment('a container that begins with a dash', { CNI_CONTAINERID: '-x' }, /CNI_CONTAINERID/),
  wrongEnvironment('a container with white space', { CNI_CONTAINERID: 'a b' }, /CNI_CONTAINERID/),
  wrongEnvironment('a path as container, DEL', { CNI_CONTAINERID: 'a/b' }, /CNI_CONTAINERID/, 'DEL'),
  wrongEnvironment('an interface name of 16', { CNI_IFNAME: 'x'.repeat(16) }, /CNI_IFNAME/),
  wrongEnvironment('an interface ..', { CNI_IFNAME: '..' }, /CNI_IFNAME/),
  wrongEnvironment('an interface a/b', { CNI_IFNAME: 'a/b' }, /CNI_IFNAME/),
  wrongEnvironment('an interface a:b', { CNI_IFNAME: 'a:b' }, /CNI_IFNAME/),
  wrongEnvironment('an interface a b', { CNI_IFNAME: 'a b' }, /CNI_IFNAME/),
  wrongEnvironment('a relative namespace', { CNI_NETNS: 'run/netns/x' }, /CNI_NETNS/),
  wrongEnvironment('arguments that are none', { CNI_ARGS: 'K8S_POD_NAME' }, /CNI_ARGS/),
  wrongEnvironment(
    'half a pod’s name',
    { CNI_ARGS: 'K8S_POD_NAME=web' },
    /K8S_POD_NAMESPACE and K8S_POD_NAME/,
  ),

  wrongConfig('no name', { name: undefined }, /name is missing/),
  wrongConfig('an empty name', { name: '' }, /name is missing/),
  wrongConfig('a path as name', { name: '../x' }, /name has invalid characters/),
  wrongConfig('prevResult as a list', { prevResult: [] }, /prevResult is not an object/),
  wrongConfig(
    'somebody else’s addresses',
    { ipam: { type: '../host-local' } },
    /ipam\.type "\.\.\/host-local": addresses come from us only/,
  ),
  wrongConfig('ipam as a list', { ipam: [] }, /ipam is not an object/),
  wrongConfig('dns as text', { dns: 'x' }, /dns is not an object/),
  wrongConfig('runtimeConfig as a list', { runtimeConfig: [] }, /runtimeConfig is not an object/),
  wrongConfig(
    'portMappings as an object',
    { runtimeConfig: { portMappings: {} } },
    /portMappings is not a list/,
  ),
  wrongConfig(
    'a port mapping as text',
    { runtimeConfig: { portMappings: ['8080:80'] } },
    /portMappings\[0\] is not an object/,
  ),
  wrongConfig(
    'a host port of 65536',
    ports({ ...PORT, hostPort: 65536 }),
    /portMappings\[0\]\.hostPort is not a port/,
  ),
  wrongConfig(
    'no container port',
    ports(PORT, { hostPort: 1 }),
    /portMappings\[1\]\.containerPort is not a port/,
  ),
  wrongConfig('another protocol', ports({ ...PORT, protocol: 'icmp' }), /protocol is not tcp, udp or sctp/),
  wrongConfig(
    'a host address that is none',
    ports({ ...PORT, hostIP: '1.2.3' }),
    /hostIP is not an IP address/,
  ),
  wrongConfig(
    'a host address of somebody else',
    ports({ ...PORT, hostIP: '198.51.100.7' }),
    /198\.51\.100\.7:8080: not an address of this node/,
  ),
  wrongConfig('the loopback address', ports({ ...PORT, hostIP: '127.0.0.1' }), /not an address of this node/),
  wrongConfig('one host port twice', ports(PORT, { ...PORT, containerPort: 81 }), /TCP 8080 twice/),
  wrongConfig('a rate without burst', bandwidth({ egressRate: 1000 }), /both egressRate and egressBurst/),
  wrongConfig(
    'a negative rate',
    bandwidth({ ingressRate: -1, ingressBurst: 1 }),
    /ingressRate is not a number of bits/,
  ),
  wrongConfig('bandwidth as a number', bandwidth(5), /bandwidth is not an object/),
];
