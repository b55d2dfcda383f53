import { request } from 'node:http';
import { expect, test } from 'vitest';
import { startDashboard } from '../../dashboard/server.ts';

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** With `node:http`, since fetch does not let the Host header be chosen. */
function ask(url: string, options: { host?: string; method?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { host: options.host };
    const asked = request(url, { method: options.method ?? 'GET', headers }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    asked.on('error', reject).end();
  });
}

/** Reads server-sent events until `enough` of them have come. */
async function readEvents(url: string, enough: number): Promise<{ event: string; data: unknown }[]> {
  const response = await fetch(`${url}events`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (text.split('\n\n').length <= enough) text += (await reader?.read())?.value ?? '';
  await reader?.cancel();
  const blocks = text.split('\n\n').slice(0, enough);
  return blocks.map((block) => {
    const [event = '', data = ''] = block.split('\n');
    return { event: event.replace('event: ', ''), data: JSON.parse(data.replace('data: ', '')) };
  });
}

test('the page and all that it loads come from here, under a policy that allows nothing else', async () => {
  const dashboard = await startDashboard({ read: async () => ({}) });
  const page = await ask(dashboard.url);
  expect(page.status).toBe(200);
  expect(page.headers['content-security-policy']).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/,
  );
  expect(page.body).not.toMatch(/https?:\/\/|<script>|style=|onclick/);
  for (const [, path] of page.body.matchAll(/(?:src|href)="([^"]+)"/g)) {
    expect((await ask(new URL(path ?? '', dashboard.url).href)).status).toBe(200);
  }
  await dashboard.stop();
});

test('a name that was pointed at 127.0.0.1 is refused, as are writes and other paths', async () => {
  const dashboard = await startDashboard({ read: async () => ({}) });
  const { port } = new URL(dashboard.url);
  expect((await ask(dashboard.url, { host: `evil.example:${port}` })).status).toBe(421);
  expect((await ask(`${dashboard.url}events`, { host: 'evil.example' })).status).toBe(421);
  expect((await ask(dashboard.url, { host: `localhost:${port}` })).status).toBe(200);
  expect((await ask(dashboard.url, { method: 'POST' })).status).toBe(405);
  expect((await ask(`${dashboard.url}../package.json`)).status).toBe(404);
  await dashboard.stop();
});

test('everyone who looks is told what was read; nobody looks: nothing is read; trouble is told too', async () => {
  let reads = 0;
  const read = async () => {
    reads += 1;
    if (reads === 3) throw new Error('the database is away');
    return { reads };
  };
  const dashboard = await startDashboard({ read, intervalMs: 5 });
  expect(reads).toBe(0);
  const events = await readEvents(dashboard.url, 4);
  expect(events).toEqual([
    { event: 'status', data: { reads: 1 } },
    { event: 'status', data: { reads: 2 } },
    { event: 'trouble', data: { message: 'the database is away' } },
    { event: 'status', data: { reads: 4 } },
  ]);
  await dashboard.stop();
});

test('a port that is taken is an error, and nothing stays behind', async () => {
  const first = await startDashboard({ read: async () => ({}) });
  const second = startDashboard({ port: Number(new URL(first.url).port), read: async () => ({}) });
  await expect(second).rejects.toMatchObject({ code: 'LS_PORT_IN_USE' });
  await first.stop();
});
