/** The VPP of a simulated node: its files, its command line, and what the node's agent is told of it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidInputError } from '../../common/errors.js';
import { findVpp, type VppInstall } from './install.js';
import { segmentOf } from './shared-memory.js';
import { smallStartup, type VppPaths, vppPaths } from './startup.js';

export class VppOfNode {
  readonly install: VppInstall;
  readonly paths: VppPaths;
  readonly keepFile: string;

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
    this.keepFile = join(dir, 'items');
  }

  /** Dies with the process that starts it, as it has no standard input to watch. */
  get argv(): readonly string[] {
    return ['setpriv', '--pdeathsig', 'KILL', this.install.binary, '-c', this.paths.config];
  }

  /** What the agent's configuration says about its data plane. */
  get agentConfig(): object {
    const driver = { type: 'af_packet' };
    return {
      backend: 'vpp',
      vpp: {
        apiSocket: this.paths.apiSocket,
        statsSocket: this.paths.statsSocket,
        apiDir: this.install.apiDir,
        keepFile: this.keepFile,
        ...{ uplink: driver, host: driver, pod: driver },
      },
    };
  }

  /** Writes what VPP starts from. */
  prepare(): void {
    const { install, paths } = this;
    mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
    const segment = segmentOf(this.cluster, this.id);
    writeFileSync(paths.config, smallStartup({ install, paths, segment }), { mode: 0o600 });
  }
}
