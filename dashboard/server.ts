import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LockstepError } from '../engine/errors.ts';
import { type Feed, startFeed } from './feed.ts';

export interface DashboardOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** What the page shows; asked for every `intervalMs` while someone looks. */
  read(): Promise<object>;
  readonly intervalMs?: number;
}

export interface Dashboard {
  readonly url: string;
  stop(): Promise<void>;
}

interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

/** Nothing but what this server sends is loaded, run, framed or posted to. */
const securityHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/**
 * Serves the page on 127.0.0.1. It only shows: there is nothing to post to.
 * Throws LS_PORT_IN_USE.
 */
export async function startDashboard({ port = 0, read, intervalMs = 1000 }: DashboardOptions): Promise<Dashboard> {
  const assets = await loadAssets();
  const server = createServer();
  await listen(server, port);
  // Only now: had the port been taken, its timer would never be stopped.
  const feed = startFeed(read, intervalMs);
  const hosts = hostsOf(server);
  server.on('request', (request, response) => respond(request, response, hosts, assets, feed));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async stop() {
      feed.stop();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const load = async (name: string, type: string): Promise<Asset> => {
    return { type: `${type}; charset=utf-8`, body: await readFile(new URL(`page/${name}`, import.meta.url)) };
  };
  return new Map([
    ['/', await load('index.html', 'text/html')],
    ['/page.js', await load('page.js', 'text/javascript')],
    ['/page.css', await load('page.css', 'text/css')],
  ]);
}

/** A page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding); its Host header gives it away. */
function hostsOf(server: Server): readonly string[] {
  const { port } = server.address() as AddressInfo;
  return [`127.0.0.1:${port}`, `localhost:${port}`];
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  hosts: readonly string[],
  assets: ReadonlyMap<string, Asset>,
  feed: Feed,
): void {
  const refusal = refusalOf(request, hosts);
  const path = (request.url ?? '/').replace(/\?.*$/, '');
  const asset = assets.get(path);
  if (refusal) {
    send(response, refusal.status, plainText, `${refusal.text}\n`);
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

function refusalOf(request: IncomingMessage, hosts: readonly string[]): { status: number; text: string } | undefined {
  if (!hosts.includes(request.headers.host ?? '')) return { status: 421, text: 'This page answers to 127.0.0.1 only.' };
  return request.method === 'GET' ? undefined : { status: 405, text: 'This page only shows.' };
}

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
