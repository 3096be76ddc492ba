/** Whether the VPP that is installed can do what the configuration asks for. Pure. */
import type { VppConfig } from '../../agent/vpp/config.js';
import { limitsOf, sentence } from '../../backends/vpp/services/limits.js';
import { type Check, fail, note, ok, warn } from './types.js';
import type { VppFacts } from './vpp-facts.js';

/** The releases the whole suite runs on; those between are expected to work. */
const TESTED = { oldest: '23.02', newest: '26.06' } as const;

/** Plugins a part of the configuration needs, and the Debian package that brings them. */
const PACKAGES: Readonly<Record<string, string>> = { dpdk: 'vpp-plugin-dpdk' };
const PACKAGE = 'vpp-plugin-core';

export function checkVpp(facts: VppFacts, config: VppConfig, taps: boolean): readonly Check[] {
  return [
    checkVersion(facts, config),
    checkMessages(facts),
    ...checkPlugins(facts, config),
    ...checkKinds(facts, config, taps),
    ...checkLimits(facts, config),
  ];
}

function checkVersion({ version }: VppFacts, { prefix }: VppConfig): Check {
  if (version === null) return warn('VPP', `in ${prefix}, of unknown version (its libraries do not say)`);
  if (older(version, TESTED.oldest)) {
    return warn(
      'VPP',
      `${version} in ${prefix}; the oldest that was tested is ${TESTED.oldest}`,
      `install VPP ${TESTED.oldest} or newer`,
    );
  }
  if (older(TESTED.newest, version))
    return warn('VPP', `${version} in ${prefix}; the newest that was tested is ${TESTED.newest}`);
  return ok('VPP', `${version} in ${prefix}`);
}

function checkMessages({ messages }: VppFacts): Check {
  if (typeof messages === 'number') return ok('API files', `${messages} messages`);
  return fail(
    'API files',
    messages,
    'install the API files (Debian: vpp, vpp-plugin-core), or set vpp.prefix',
  );
}

/** Plugins that are needed and can be no part of VPP's core in any release. */
function neededPlugins(config: VppConfig): ReadonlyMap<string, string> {
  const { uplink, host, pods } = config;
  const drivers: readonly string[] = [uplink.type, host, pods];
  const needed = new Map<string, string>([
    ['acl', 'policies are access lists'],
    ['abf', 'traffic of the uplink is led by rules'],
    ['cnat', 'addresses are translated by it'],
    ['urpf', 'source addresses of pods are checked'],
  ]);
  if (config.services === 'nat44') needed.set('nat', 'vpp.services is nat44');
  if (drivers.includes('af_packet')) needed.set('af_packet', 'interfaces are made with af_packet');
  if (drivers.includes('af_xdp')) needed.set('af_xdp', 'interfaces are made with af_xdp');
  if (uplink.type === 'pci' || uplink.type === 'vdev') needed.set('dpdk', 'the uplink is a device of DPDK');
  return needed;
}

function checkPlugins({ plugins }: VppFacts, config: VppConfig): readonly Check[] {
  const needed = [...neededPlugins(config)];
  const lacking = needed.filter(([plugin]) => !plugins.has(plugin));
  if (lacking.length === 0)
    return [
      ok(
        'plugins',
        needed
          .map(([plugin]) => plugin)
          .sort()
          .join(', '),
      ),
    ];
  return lacking.map(([plugin, why]) =>
    fail('plugins', `${plugin} is not there, and ${why}`, `install ${PACKAGES[plugin] ?? PACKAGE}`),
  );
}

/** Kinds of objects that only some configurations make. */
function isUsed(kind: string, config: VppConfig): boolean {
  if (kind.startsWith('nat44')) return config.services === 'nat44';
  return true;
}

function checkKinds({ missing, messages }: VppFacts, config: VppConfig, taps: boolean): readonly Check[] {
  if (typeof messages === 'string') return [];
  const lacking = missing.filter(({ kind }) => taps || kind !== 'cut');
  if (lacking.length === 0) return [ok('messages', 'all that the backend uses')];
  return lacking.map(({ kind, messages: names }) => {
    const text = `${kind} cannot be made: VPP lacks ${names.join(', ')}`;
    if (!isUsed(kind, config)) return warn('messages', `${text}; this configuration makes none`);
    return fail(
      'messages',
      text,
      `another release of VPP (${TESTED.oldest} to ${TESTED.newest}), or its plugin`,
    );
  });
}

/** What will not be as one might expect, each thing a line: docs/vpp-services.md. */
function checkLimits({ messages, has }: VppFacts, options: VppConfig): readonly Check[] {
  if (typeof messages === 'string') return [];
  return limitsOf({ api: { has }, options }).map((limit) => note('not done', sentence(limit)));
}

/** Releases are YY.MM. */
function older(version: string, than: string): boolean {
  const [year = 0, month = 0] = version.split('.').map(Number);
  const [otherYear = 0, otherMonth = 0] = than.split('.').map(Number);
  return year < otherYear || (year === otherYear && month < otherMonth);
}
