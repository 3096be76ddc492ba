/** For tests of lowering: tables that play what is planned, and the proof that nothing is left in them. */
import * as assert from 'uvu/assert';
import { Image } from './image.js';
import type { ImagePlan } from './image-plan.js';
import { Lowering } from './lowering.js';

function freshImage(plan: ImagePlan): Image {
  const image = new Image(new Uint32Array(plan.bytes / 4), 0, plan);
  image.reset();
  return image;
}

export function freshTables(plan: ImagePlan): { readonly lowering: Lowering; readonly image: Image } {
  return { lowering: new Lowering(plan), image: freshImage(plan) };
}

/** After everything was taken away tables are empty, which the next transaction makes small. */
export function assertEmptied(image: Image, about: string): void {
  image.play([]);
  assert.equal(image.words, freshImage(image.plan).words, about);
}
