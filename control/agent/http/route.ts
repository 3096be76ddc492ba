/** What a route of the REST interface is, and what it may answer. */
import type { Query } from './query.js';

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** One sentence: `GET /` lists it, docs/rest.md tells more. */
  readonly summary: string;
  /** Names of the query parameters it knows; others are refused. */
  readonly query: readonly string[];
  handle(query: Query): Answer | Promise<Answer>;
}

export type Answer = JsonAnswer | ListAnswer | TextAnswer;

export interface JsonAnswer {
  readonly status: number;
  readonly json: object;
}

/** A list that may be long: `{...head, "items": [...]}`, written piece by piece so that nothing else has to wait for it. */
export interface ListAnswer {
  readonly status: number;
  readonly head: object;
  readonly items: Iterable<object>;
}

export interface TextAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

export function json(value: object, status = 200): JsonAnswer {
  return { status, json: value };
}

export function list(items: Iterable<object>, head: object = {}): ListAnswer {
  return { status: 200, head, items };
}
