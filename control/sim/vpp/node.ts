/** The VPP of a simulated node: its files, its command line, and what the node's agent is told of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseVppConfig } from '../../agent/vpp/config.js';
import { openVppDataplane } from '../../agent/vpp/open.js';
import type { Backend } from '../../backends/backend.js';
import { InvalidInputError } from '../../common/errors.js';
import { findVpp, type VppInstall } from './install.js';
import { segmentOf } from './shared-memory.js';
import { smallStartup, type VppPaths, vppPaths } from './startup.js';

export class VppOfNode {
  readonly install: VppInstall;
  readonly paths: VppPaths;

  /** Throws InvalidInputError where no VPP is installed. */
  constructor(
    private readonly cluster: string,
    private readonly id: number,
    dir: string,
  ) {
    const found = findVpp();
    if (typeof found === 'string') throw new InvalidInputError(found, { object: 'VPP' });
    this.install = found;
    this.paths = vppPaths(dir);
  }

  /** Dies with the process that starts it, as it has no standard input to watch. */
  get argv(): readonly string[] {
    return ['setpriv', '--pdeathsig', 'KILL', this.install.binary, '-c', this.paths.config];
  }

  /** What the agent's configuration says about its data plane. */
  get agentConfig(): { readonly backend: 'vpp'; readonly vpp: object } {
    const { install, paths } = this;
    return {
      backend: 'vpp',
      vpp: { prefix: install.prefix, runDir: paths.dir, socket: paths.apiSocket, stats: paths.statsSocket },
    };
  }

  /** A second pair of eyes beside the agent's: knows what the agent put in force, and changes nothing. Throws VppConnectError. */
  async openObserver(): Promise<Backend> {
    const config = parseVppConfig(this.agentConfig.vpp, 'simulated node');
    const backend = await openVppDataplane(config, () => undefined);
    try {
      // The numbers VPP gave to what it holds are learned by reading.
      await backend.dump();
      return backend;
    } catch (error) {
      await backend.close();
      throw error;
    }
  }

  /** Writes what VPP starts from. */
  prepare(): void {
    const { install, paths } = this;
    mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
    const segment = segmentOf(this.cluster, this.id);
    writeFileSync(paths.config, smallStartup({ install, paths, segment }), { mode: 0o600 });
  }
}
