/** The node itself, its links, its tunnels and routes: what NodeRecords and pods wired here decide. */
import type { Item, Key } from '../../ruleset/types.js';
import type { Context } from '../context.js';
import { compileInterfaces } from '../interfaces.js';
import { compileNode } from '../node.js';
import { compileRoutes } from '../routes.js';
import { compileSnat } from '../snat.js';
import { compileTunnels } from '../tunnels.js';
import type { Output } from './output.js';

export class Wiring {
  private given = new Set<Key>();

  constructor(private readonly output: Output) {}

  /** Compiles it all again. */
  settle(context: Context): void {
    const items: readonly Item[] = [
      compileNode(context),
      ...compileInterfaces(context),
      ...compileTunnels(context),
      ...compileRoutes(context),
      compileSnat(context),
    ];
    const keys = new Set(items.map(({ key }) => key));
    for (const key of this.given) if (!keys.has(key)) this.output.remove(key);
    for (const item of items) this.output.put(item);
    this.given = keys;
  }
}
