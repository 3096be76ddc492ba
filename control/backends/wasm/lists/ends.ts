/** Both ends of a list that is being built, and which of their prefixes its rules are about. */
import * as A from '../../../../dataplane-as/lists/layout.js';
import type { Borne } from './pair-plan.js';
import { PrefixIndex } from './prefix-index.js';
import type { ListRule } from './rule.js';
import type { Scratch } from './scratch.js';
import { Side } from './side.js';

export interface Ends {
  readonly src: Side;
  readonly dst: Side;
  /** By rule: the number of its prefix at either end. */
  readonly sources: Uint32Array;
  readonly targets: Uint32Array;
}

/** Throws ListFullError. */
export function endsOf(rules: readonly ListRule[], scratch: Scratch): Ends {
  const srcIndex = new PrefixIndex(rules.length);
  const dstIndex = new PrefixIndex(rules.length);
  const sources = scratch.words(rules.length);
  const targets = scratch.words(rules.length);
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i] as ListRule;
    sources[i] = srcIndex.add(rule.src, rule.srcLength);
    targets[i] = dstIndex.add(rule.dst, rule.dstLength);
  }
  const short = rules.length <= A.VECTOR_RULES;
  const src = new Side(srcIndex, sources, short, scratch);
  const dst = new Side(dstIndex, targets, short, scratch);
  return { src, dst, sources, targets };
}

/** Each rule for its pair of prefixes and for the pairs that stand in for it, in the rules' order. */
export function bear({ src, dst, sources, targets }: Ends, scratch: Scratch): Borne {
  if (!src.hasStandIns && !dst.hasStandIns) {
    const rule = scratch.words(sources.length);
    for (let i = 0; i < rule.length; i++) rule[i] = i;
    return { rule, src: sources, dst: targets };
  }
  const more: [number, number, number][] = [];
  for (let i = 0; i < sources.length; i++) {
    const [source, target] = [sources[i] ?? 0, targets[i] ?? 0];
    if (!src.isStoodIn(source) && !dst.isStoodIn(target)) continue;
    for (const bearer of src.bearers(source)) {
      for (const other of dst.bearers(target)) {
        if (bearer !== source || other !== target) more.push([i, bearer, other]);
      }
    }
  }
  const count = sources.length + more.length;
  const borne = { rule: new Uint32Array(count), src: new Uint32Array(count), dst: new Uint32Array(count) };
  let next = 0;
  let at = 0;
  for (let i = 0; i < sources.length; i++) {
    borne.rule[at] = i;
    borne.src[at] = sources[i] ?? 0;
    borne.dst[at++] = targets[i] ?? 0;
    for (; more[next]?.[0] === i; next++) {
      const [, bearer = 0, other = 0] = more[next] ?? [];
      borne.rule[at] = i;
      borne.src[at] = bearer;
      borne.dst[at++] = other;
    }
  }
  return borne;
}
