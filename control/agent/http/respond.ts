/** Writes answers: whole where they are small, piece by piece with pauses where they may be long. */

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, ListAnswer } from './route.js';

const JSON_TYPE = 'application/json; charset=utf-8';
/** Characters gathered before they are written, and before others get their turn. */
const PIECE = 64 * 1024;

export async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const contentType = 'contentType' in answer ? answer.contentType : JSON_TYPE;
  response.writeHead(answer.status, {
    'Content-Type': contentType,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  if (request.method === 'HEAD') {
    response.end();
  } else if ('items' in answer) {
    await writeList(response, answer);
  } else {
    response.end('text' in answer ? answer.text : `${JSON.stringify(answer.json)}\n`);
  }
}

async function writeList(response: ServerResponse, { head, items }: ListAnswer): Promise<void> {
  const opening = JSON.stringify(head).slice(0, -1);
  let piece = `${opening}${opening.length > 1 ? ',' : ''}"items":[`;
  let first = true;
  for (const item of items) {
    piece += `${first ? '' : ','}\n${JSON.stringify(item)}`;
    first = false;
    if (piece.length < PIECE) continue;
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
    else await new Promise((resolve) => setImmediate(resolve));
    piece = '';
  }
  response.end(`${piece}${first ? '' : '\n'}]}\n`);
}

/** Resolves when more can be written, or nobody reads any more; leaves no listener behind. */
async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    over.abort();
  }
}
