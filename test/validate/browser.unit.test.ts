import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reportPage } from '../../engine/validate/page/page.ts';
import { startBrowser } from '../support/browser.ts';
import { hostile, report } from './sample.ts';

let browser: Awaited<ReturnType<typeof startBrowser>>;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());

/** The report as a file that somebody has been sent: no server, nothing else beside it. */
async function open(width: number, colorScheme: 'light' | 'dark' = 'light') {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => complaints.push(dialog.message()));
  page.on('request', (request) => complaints.push(`asked ${request.url()}`));
  await page.setContent(reportPage(report, hostile));
  return { page, complaints, [Symbol.asyncDispose]: () => page.close() };
}

/** How clearly the verdict stands out: https://www.w3.org/TR/WCAG21/#contrast-minimum */
const contrastOf = (page: Page, selector: string) =>
  page.evaluate((chosen) => {
    // Runs in the page, where a tsconfig without its types does not reach.
    const scope = globalThis as unknown as {
      document: { querySelector(selector: string): unknown };
      getComputedStyle(element: unknown): { color: string; backgroundColor: string };
    };
    const luminance = (color: string) => {
      const [red = 0, green = 0, blue = 0] = (color.match(/[0-9.]+/g) ?? []).slice(0, 3).map((part) => {
        const share = Number(part) / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const text = luminance(scope.getComputedStyle(scope.document.querySelector(chosen)).color);
    const card = luminance(scope.getComputedStyle(scope.document.querySelector('section')).backgroundColor);
    return (Math.max(text, card) + 0.05) / (Math.min(text, card) + 0.05);
  }, selector);

test.each([
  [390, 'light'],
  [390, 'dark'],
  [1280, 'light'],
  [1280, 'dark'],
] as const)(
  '%i pixels wide, %s: the verdict first, readable, nothing cut off, nothing run or loaded',
  async (width, scheme) => {
    await using opened = await open(width, scheme);
    const { page, complaints } = opened;
    expect(await page.locator('.verdict').textContent()).toBe('Both sides do not agree');
    expect((await page.locator('.verdict').boundingBox())?.y).toBeLessThan(300);
    for (const selector of ['.verdict', '.dim', '.tile b', '.agrees', '.unproven', 'summary', 'td.value']) {
      if ((await page.locator(selector).count()) > 0)
        expect(await contrastOf(page, selector), selector).toBeGreaterThan(4.5);
    }
    // A wide table scrolls by itself; the page does not.
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    expect(await page.locator('h1').textContent()).toContain(hostile);
    // What a table's row comes to is seen without scrolling.
    const outcome = await page.locator('td b.differs').first().boundingBox();
    expect((outcome?.x ?? width) + (outcome?.width ?? 0)).toBeLessThan(width);
    expect(complaints).toEqual([]);
  },
);

test('by keyboard: what is folded opens, and on paper everything is open, black on white', async () => {
  await using opened = await open(1280, 'dark');
  const { page, complaints } = opened;
  const closed = page.locator('details:not([open])');
  const before = await closed.count();
  const folded = closed.first();
  const inside = folded.locator('p').last();
  expect(await inside.isVisible()).toBe(false);
  await page.emulateMedia({ media: 'print' });
  expect(await inside.isVisible()).toBe(true);
  expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
  await page.emulateMedia({ media: 'screen' });
  expect(await inside.isVisible()).toBe(false);
  await folded.locator('summary').focus();
  await page.keyboard.press('Enter');
  expect(await closed.count()).toBe(before - 1);
  expect(complaints).toEqual([]);
});
