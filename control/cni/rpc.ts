/** One unary gRPC call over a unix socket (gRPC over HTTP/2, protocol document PROTOCOL-HTTP2.md). */
import { connect as connectHttp2, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { PteropusError } from '../common/errors.js';

/** The agent cannot be reached, does not answer in time, or refuses the call. */
export class RpcError extends PteropusError {}

/**
 * Calls `method` (`/package.Service/Method`) with an encoded message; resolves with the encoded answer. The deadline holds
 * for connecting too and is told to the server. Throws RpcError.
 */
export function callUnary(
  socket: string,
  method: string,
  message: Buffer,
  deadlineMs: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    const session = connectHttp2('http://localhost', { createConnection: () => connection });
    const finish = (outcome: Buffer | RpcError): void => {
      clearTimeout(timer);
      session.destroy();
      connection.destroy();
      if (outcome instanceof RpcError) reject(outcome);
      else resolve(outcome);
    };
    const fail = (text: string, cause?: unknown): void =>
      finish(new RpcError(text, { object: socket, cause, retryable: true }));
    const timer = setTimeout(() => fail(`the agent did not answer within ${deadlineMs} ms`), deadlineMs);
    // The stream's own error only says that it was canceled.
    connection.on('error', (error) => fail(`the agent cannot be reached: ${error.message}`, error));
    session.on('error', (error) => fail(`the agent cannot be reached: ${error.message}`, error));
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${deadlineMs}m`,
    });
    const chunks: Buffer[] = [];
    let trailers: IncomingHttpHeaders = {};
    const noteStatus = (headers: IncomingHttpHeaders): void => {
      if (headers['grpc-status'] !== undefined) trailers = headers;
    };
    stream.on('response', noteStatus);
    stream.on('trailers', noteStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => fail(`the call broke: ${error.message}`, error));
    stream.on('end', () => {
      const status = trailers['grpc-status'];
      if (status === undefined) return fail('the call broke before its answer');
      if (status !== '0') return fail(`the agent refuses the call: ${statusText(trailers)}`);
      const body = Buffer.concat(chunks);
      if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) {
        return fail('the answer is no gRPC message');
      }
      finish(body.subarray(5));
    });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([head, message]));
  });
}

function statusText(trailers: IncomingHttpHeaders): string {
  const message = trailers['grpc-message'];
  const text = typeof message === 'string' ? decodeURIComponent(message) : '';
  return `${text} (gRPC status ${String(trailers['grpc-status'])})`;
}
