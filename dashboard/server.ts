import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { LockstepError } from '../engine/errors.ts';
import { type Feed, type FeedOptions, startFeed } from './feed.ts';
import { refusalOf } from './refusal.ts';

export interface DashboardOptions extends FeedOptions {
  /** Default: a free one. */
  readonly port?: number;
}

export interface Dashboard {
  readonly url: string;
  stop(): Promise<void>;
}

interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

/** Nothing but what this server sends is loaded, run, framed or posted to, and no text becomes markup. */
const securityHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/**
 * Serves the page on 127.0.0.1. It only shows: there is nothing to post to.
 * Throws LS_PORT_IN_USE.
 */
export async function startDashboard({ port = 0, ...feedOptions }: DashboardOptions): Promise<Dashboard> {
  const assets = await loadAssets();
  const server = createServer();
  await listen(server, port);
  // Only now: had the port been taken, nobody would ever stop it.
  const feed = startFeed(feedOptions);
  const taken = (server.address() as AddressInfo).port;
  server.on('request', (request, response) => respond(request, response, taken, assets, feed));
  return {
    url: `http://127.0.0.1:${taken}/`,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      await feed.stop();
      server.closeAllConnections();
      await closed;
    },
  };
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Everything of `page/`, by its path; nothing else can be asked for. */
async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const folder = new URL('page/', import.meta.url);
  const assets = new Map<string, Asset>();
  for (const name of await readdir(folder)) {
    const type = types[extname(name)];
    if (type === undefined) continue;
    const body = await readFile(new URL(name, folder));
    assets.set(name === 'index.html' ? '/' : `/${name}`, { type, body });
  }
  return assets;
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  assets: ReadonlyMap<string, Asset>,
  feed: Feed,
): void {
  const refusal = refusalOf(request, port);
  const path = (request.url ?? '/').replace(/\?.*$/, '');
  const asset = assets.get(path);
  if (refusal) {
    send(response, refusal.status, plainText, `${refusal.text}\n`);
  } else if (path === '/events' && feed.full) {
    send(response, 503, plainText, 'Too many look at this page already.\n');
  } else if (path === '/events') {
    response.writeHead(200, { ...securityHeaders, 'Content-Type': 'text/event-stream' });
    feed.subscribe(response);
  } else if (asset) {
    send(response, 200, asset.type, asset.body);
  } else {
    send(response, 404, plainText, 'There is no such page.\n');
  }
}

const plainText = 'text/plain; charset=utf-8';

function send(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { ...securityHeaders, 'Content-Type': type }).end(body);
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new LockstepError('LS_PORT_IN_USE', `Port ${port} on 127.0.0.1, wanted for the dashboard, is taken.`, {
      cause,
    });
  }
}
