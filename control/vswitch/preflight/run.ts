/** `pteropus vswitch --preflight`: collects, judges, prints. Changes nothing. */
import { connect } from 'node:net';
import type { AgentConfig } from '../../agent/agent-config.js';
import type { VppConfig } from '../../agent/vpp/config.js';
import { readFacts } from '../../node/facts.js';
import { vppUnder } from '../install.js';
import { fingerprint, isAlive, readRecord } from '../record.js';
import { renderStartup, type StartupTarget, startupFiles } from '../startup.js';
import { checkMachine } from './check-machine.js';
import { checkNic } from './check-nic.js';
import { checkVpp } from './check-vpp.js';
import { hostUseOf } from './host-use.js';
import { readMachine } from './machine.js';
import { type Check, fail, ok, warn } from './types.js';
import { readVpp, targetOf } from './vpp-facts.js';

/** 0: nothing is missing; 1: something is. */
export async function preflight(config: AgentConfig, vpp: VppConfig, json: boolean): Promise<number> {
  const checks = await collect(config, vpp);
  process.stdout.write(json ? `${JSON.stringify(checks, null, 2)}\n` : renderChecks(checks));
  return checks.some(({ state }) => state === 'fail') ? 1 : 0;
}

export async function collect(config: AgentConfig, vpp: VppConfig): Promise<readonly Check[]> {
  const machine = readMachine();
  const { links, afXdp } = readFacts(config.cniConfDir ?? '/etc/cni/net.d');
  const install = vppUnder(vpp.prefix);
  const mend = 'install VPP (https://packagecloud.io/fdio/release), or set vpp.prefix';
  const taps = config.podFeed === 'tap' || vpp.host === 'tap';
  return [
    ...(typeof install === 'string' ? [fail('VPP', install, mend)] : checkVpp(readVpp(install), vpp, taps)),
    await checkRunning(vpp, targetOf(install)),
    ...checkMachine(machine, config, vpp),
    ...checkNic({ machine, links, afXdp, use: (link) => hostUseOf(link) }, config, vpp),
  ];
}

async function checkRunning(vpp: VppConfig, target: StartupTarget): Promise<Check> {
  const record = readRecord(startupFiles(vpp).record);
  if (record !== null && isAlive(record)) {
    const same = record.configuration === fingerprint(renderStartup(vpp, target));
    const text = `runs, process ${record.pid}; it will be taken over`;
    if (same) return ok('process', text);
    return warn(
      'process',
      `${text}, with a different configuration than the current one`,
      '--restart (traffic stops for a second)',
    );
  }
  if (await listens(vpp.socket)) {
    return fail(
      'process',
      `somebody else's VPP has ${vpp.socket}`,
      'systemctl disable --now vpp, or set vpp.runDir',
    );
  }
  return ok('process', 'none runs');
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** One line each, and another where something is to be done. */
export function renderChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .flatMap(({ name, state, text, mend }) => [
      `${state.padEnd(5)}${name.padEnd(width + 2)}${text}\n`,
      ...(mend === undefined ? [] : [`${''.padEnd(width + 7)}→ ${mend}\n`]),
    ])
    .join('');
}
