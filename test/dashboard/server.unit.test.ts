import { request } from 'node:http';
import { expect, test } from 'vitest';
import { pauseMs } from '../../dashboard/feed.ts';
import type { Reading } from '../../dashboard/read.ts';
import { startDashboard } from '../../dashboard/server.ts';

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

type Headers = Readonly<Record<string, string>>;

/** With `node:http`, since fetch does not let these headers be chosen. */
function ask(url: string, headers: Headers = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (response) => {
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

/** What a reader would answer, as far as the server cares. */
const reading = (atMs: number) => ({ snapshot: { atMs }, sample: { atMs }, statements: 1 }) as unknown as Reading;
const read = async () => reading(1);
const often = { everyMs: 5, idleEveryMs: 5, detailsEveryMs: 5 };

test('the page and all that it loads come from here, under a policy that allows nothing else', async () => {
  const dashboard = await startDashboard({ read });
  const page = await ask(dashboard.url);
  expect(page.status).toBe(200);
  expect(page.headers['content-security-policy']).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'.*trusted-types 'none'$/,
  );
  expect(page.body).not.toMatch(/https?:\/\/|<script>|style=|onclick/);
  const loaded = [...page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path = '']) => path);
  expect(loaded.length).toBeGreaterThan(4);
  for (const path of loaded) expect((await ask(new URL(path, dashboard.url).href)).status, path).toBe(200);
  await dashboard.stop();
});

test('a name that was pointed at 127.0.0.1 is refused, as are writes and other paths', async () => {
  const dashboard = await startDashboard({ read });
  const { port } = new URL(dashboard.url);
  expect((await ask(dashboard.url, { host: `evil.example:${port}` })).status).toBe(421);
  expect((await ask(`${dashboard.url}events`, { host: 'evil.example' })).status).toBe(421);
  expect((await ask(dashboard.url, { host: `localhost:${port}` })).status).toBe(200);
  expect((await ask(dashboard.url, {}, 'POST')).status).toBe(405);
  expect((await ask(`${dashboard.url}../package.json`)).status).toBe(404);
  expect((await ask(`${dashboard.url}tsconfig.json`)).status).toBe(404);
  await dashboard.stop();
});

test('what another page makes the browser ask for is refused; a link to this one may be followed', async () => {
  const dashboard = await startDashboard({ read });
  const from = async (headers: Headers) => (await ask(`${dashboard.url}page-of-nobody`, headers)).status;
  const own = new URL(dashboard.url).origin;
  expect(await from({ origin: 'https://evil.example' })).toBe(403);
  expect(await from({ origin: 'null' })).toBe(403);
  expect(await from({ origin: own })).toBe(404);
  expect(await from({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).toBe(403);
  // Another port of this machine is the same site.
  expect(await from({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' })).toBe(403);
  expect(await from({ 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' })).toBe(404);
  expect(await from({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(404);
  await dashboard.stop();
});

test('everyone who looks is told the past, and what is read from then on; trouble is told too', async () => {
  let reads = 0;
  const flaky = async () => {
    reads += 1;
    if (reads % 2 === 0) throw new Error('the database is away');
    return reading(reads);
  };
  const dashboard = await startDashboard({ read: flaky, cadence: often });
  const events = await readEvents(dashboard.url, 6);
  expect(events[0]).toEqual({ event: 'past', data: { samples: expect.any(Array) } });
  expect(events).toContainEqual({ event: 'trouble', data: { message: 'the database is away' } });
  const statuses = events.flatMap(({ event, data }) => (event === 'status' ? [data] : []));
  expect(statuses.length).toBeGreaterThan(1);
  expect(statuses.at(-1)).toMatchObject({ snapshot: { cost: { statements: 1, everyMs: 5 } } });
  // Who comes later sees what was sampled before.
  const [later] = await readEvents(dashboard.url, 1);
  expect(later?.data).toMatchObject({ samples: expect.arrayContaining([{ atMs: 1 }, { atMs: 3 }]) });
  await dashboard.stop();
});

test('details are read only while someone looks', async () => {
  const asked: boolean[] = [];
  const noting = async (details: boolean) => {
    asked.push(details);
    return reading(asked.length);
  };
  const dashboard = await startDashboard({ read: noting, cadence: often });
  while (asked.length < 3) await new Promise(setImmediate);
  expect(asked).not.toContain(true);
  await readEvents(dashboard.url, 4);
  expect(asked).toContain(true);
  await dashboard.stop();
});

test('asking takes a twentieth of the time at most, and less when nobody looks', () => {
  const cadence = { everyMs: 2_000, idleEveryMs: 10_000, detailsEveryMs: 10_000 };
  expect(pauseMs(20, true, cadence)).toBe(2_000);
  expect(pauseMs(20, false, cadence)).toBe(10_000);
  expect(pauseMs(1_000, true, cadence)).toBe(19_000);
  expect(pauseMs(1_000, false, cadence)).toBe(19_000);
});

test('a port that is taken is an error, and nothing stays behind', async () => {
  const first = await startDashboard({ read });
  const second = startDashboard({ port: Number(new URL(first.url).port), read });
  await expect(second).rejects.toMatchObject({ code: 'LS_PORT_IN_USE' });
  await first.stop();
});
