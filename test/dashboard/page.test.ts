import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDashboard } from '../../dashboard/server.ts';
import { startBrowser } from '../support/browser.ts';
import { testDatabase } from '../support/database.ts';
import { photomemory } from '../support/photomemory.ts';
import {
  addBackfill,
  addInFlight,
  addQuarantine,
  addRows,
  addStream,
  addValidation,
  readerOf,
  targets,
} from './world.ts';

const often = { everyMs: 200, idleEveryMs: 200, detailsEveryMs: 200 };

let browser: Awaited<ReturnType<typeof startBrowser>>;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());

/** The page over a real database, at every reading as it is then. */
async function open() {
  const parts = new AsyncDisposableStack();
  const database = parts.use(await testDatabase({ template: photomemory }));
  await addRows(database.pool);
  const dashboard = await startDashboard({ read: readerOf(database.pool).read, cadence: often });
  parts.defer(() => dashboard.stop());
  const complaints: string[] = [];
  const visit = async (width: number, colorScheme: 'light' | 'dark'): Promise<Page> => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    parts.defer(() => page.close());
    page.on('console', (message) => message.type() !== 'log' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(dashboard.url)) complaints.push(`asked ${request.url()}`);
    });
    await page.goto(dashboard.url);
    await page.waitForSelector('h1');
    return page;
  };
  return { database, dashboard, visit, complaints, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

test('the verdict first, live, in words for who hears it; nothing is loaded from elsewhere', async () => {
  await using world = await open();
  const { pool } = world.database;
  const page = await world.visit(1440, 'light');
  expect(await page.textContent('h1')).toMatch(/listener has never run/);
  expect(await page.title()).toMatch(/^The listener has never run/);
  await addStream(world.database);
  await page.waitForSelector('body[data-level=broken]');
  expect(await page.textContent('h1')).toMatch(/No listener is connected/);
  expect(await page.getAttribute('.said .mark', 'aria-label')).toBe('broken');
  await addBackfill(pool, [1000, 500, 0, 0]);
  await addQuarantine(pool, 'media_files', 28);
  await addInFlight(pool, { photos: 5 });
  await addValidation(pool, 2);
  await page.locator('#quarantine b', { hasText: '28 scopes' }).waitFor();
  const rows = await page.locator('.targets tbody tr').allTextContents();
  expect(rows).toHaveLength(targets.length);
  expect(rows[1]).toMatch(/^media_files50 %, [\d.]+ scopes\/s, .* left≈ 3.*5282$/);
  expect(await page.textContent('#reports')).toMatch(/differs: 12 rows compared.*2 drifted/);
  expect(await page.textContent('#events')).toMatch(/Validation: rows have drifted/);
  expect(await page.textContent('#cost')).toMatch(/This page only shows.*each 0.2 s/);
  expect(world.complaints).toEqual([]);
});

test('what is old is not shown as if it were the present, and comes back by itself', async () => {
  await using world = await open();
  const page = await world.visit(1440, 'dark');
  await page.waitForSelector('#connection.live');
  await world.database.pool.query('ALTER TABLE lockstep.in_flight RENAME TO elsewhere');
  await page.waitForSelector('body.stale');
  expect(await page.textContent('#connection')).toMatch(/not up to date: relation "lockstep.in_flight" does not exist/);
  await world.database.pool.query('ALTER TABLE lockstep.elsewhere RENAME TO in_flight');
  await page.waitForSelector('body:not(.stale)');
  await world.dashboard.stop();
  await page.locator('#connection', { hasText: /^connection lost/ }).waitFor();
});

const focused = `{
  const { activeElement: active } = document;
  active.dataset.plot ?? active.getAttribute('name') ?? (active.className || active.nodeName);
}`;

test('by keyboard alone: every part is reached, a plot is read, a reason is opened and stays open', async () => {
  await using world = await open();
  await addQuarantine(world.database.pool, 'media_files', 3);
  await addStream(world.database);
  const page = await world.visit(1440, 'light');
  await page.waitForSelector('summary');
  await page.waitForSelector('ul.events');
  const reached: unknown[] = [];
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(focused));
  }
  expect(reached.slice(0, 7)).toEqual([
    'skip',
    'window',
    'Lag',
    'Throughput',
    'Rows in flight',
    'WAL not sent',
    'scroll',
  ]);
  expect(reached.slice(7)).toContain('lines events');

  await page.focus('[data-plot=Lag]');
  await page.locator('#plots polyline').nth(2).waitFor({ state: 'attached' });
  expect(await page.textContent('[data-plot=Lag] .when')).toBe('now');
  await page.keyboard.press('Home');
  expect(await page.textContent('[data-plot=Throughput] .when')).toMatch(/^\d\d:\d\d:\d\d$/);
  await page.keyboard.press('Escape');
  expect(await page.textContent('[data-plot=Lag] .when')).toBe('now');

  await page.focus('summary');
  await page.keyboard.press('Enter');
  await addQuarantine(world.database.pool, 'media_files', 1);
  await page.locator('summary b', { hasText: '4 scopes' }).waitFor();
  expect(await page.evaluate('document.activeElement.nodeName')).toBe('SUMMARY');
  expect(await page.isVisible('details p')).toBe(true);
  expect(world.complaints).toEqual([]);
});

const coloursOf = (names: readonly string[]) => `{
  const probe = document.body.appendChild(document.createElement('p'));
  const colours = ${JSON.stringify(names)}.map((name) => {
    probe.style.color = 'var(--' + name + ')';
    return getComputedStyle(probe).color;
  });
  probe.remove();
  colours;
}`;

/** Of a colour as `rgb(1, 2, 3)`: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/\d+/g) ?? []).map((byte) => {
    const part = Number(byte) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Every ink on every ground: https://www.w3.org/TR/WCAG22/#contrast-minimum */
async function contrasts(page: Page): Promise<[pair: string, ratio: number][]> {
  const grounds = ['page', 'card', 'code'];
  const inks = ['text', 'dim', 'well', 'working', 'attention', 'broken'];
  const colours = (await page.evaluate(coloursOf([...grounds, ...inks]))) as string[];
  const lightOf = (name: string) => luminance(colours[[...grounds, ...inks].indexOf(name)] ?? '');
  return grounds.flatMap((ground) =>
    inks.map((ink): [string, number] => {
      const [low = 0, high = 0] = [lightOf(ground), lightOf(ink)].sort((a, b) => a - b);
      return [`${ink} on ${ground}`, (high + 0.05) / (low + 0.05)];
    }),
  );
}

test.each(['light', 'dark'] as const)(
  '%s: nothing sticks out on a phone, and everything can be read',
  async (scheme) => {
    await using world = await open();
    const { pool } = world.database;
    await addStream(world.database);
    await addBackfill(pool, [1000, 500, 0, 0]);
    await addQuarantine(pool, 'media_files', 1_234_567 % 1000);
    await addValidation(pool, 2);
    for (const width of [390, 768, 1440]) {
      const page = await world.visit(width, scheme);
      await page.waitForSelector('summary');
      expect(await page.evaluate('document.documentElement.scrollWidth'), `at ${width}`).toBeLessThanOrEqual(width);
      const ratios = await contrasts(page);
      expect(ratios.filter(([, ratio]) => ratio < 4.5)).toEqual([]);
      await page.close();
    }
    expect(world.complaints).toEqual([]);
  },
);
