import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pg from 'pg';
import { type Browser, chromium, type Page } from 'playwright-core';

/**
 * The pictures of the documentation, taken of a real run: `npm run screenshots`. Needs Chromium
 * (LOCKSTEP_CHROMIUM names another than /usr/bin/chromium); LOCKSTEP_USERS makes it smaller. docs/images is written anew.
 */
const bin = fileURLToPath(new URL('../cli/bin.js', import.meta.url));
const images = process.argv[2] ?? fileURLToPath(new URL('images/', import.meta.url));
const executablePath = process.env.LOCKSTEP_CHROMIUM ?? '/usr/bin/chromium';
const state = await mkdtemp(join(tmpdir(), 'lockstep-screenshots-'));
const env = { ...process.env, LOCKSTEP_STATE_DIR: state };

interface Ready {
  readonly databaseUrl: string;
  readonly dashboardUrl: string;
}

/** A whole machine whose legacy data is dirty, and whose traffic is ours, so that it can be mended. */
async function startMachine(): Promise<Ready & AsyncDisposable> {
  const args = [bin, 'dev', '--json', '--traffic', '0', '--users', process.env.LOCKSTEP_USERS ?? '1500'];
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as Ready & { event: string };
    if (event.event !== 'ready') continue;
    child.stdout.resume();
    return {
      ...event,
      async [Symbol.asyncDispose]() {
        child.kill('SIGINT');
        await exited;
      },
    };
  }
  throw new Error('lockstep dev ended before it was ready');
}

/** Runs a command to its end; its exit code is a part of the picture, not a failure. */
async function lockstep(...args: string[]): Promise<void> {
  await once(spawn(process.execPath, [bin, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }), 'exit');
}

/** Clean changes of one side's files, until stopped. */
function startTraffic(pool: pg.Pool, table: 'photos' | 'media_files') {
  let stopped = false;
  const one = async () => {
    await pool.query(
      `UPDATE ${table} SET width = coalesce(width, 0) + 1, updated_at = now()
       WHERE id IN (SELECT id FROM ${table} TABLESAMPLE SYSTEM (1) LIMIT ceil(random() * 4))`,
    );
    await delay(10 + Math.random() * 60);
  };
  const running = (async () => {
    while (!stopped) await one();
  })();
  return async () => {
    stopped = true;
    await running;
  };
}

/** What an operator would do about the rows in quarantine, in short. */
async function mend(pool: pg.Pool): Promise<void> {
  const scopes = (target: string) => `(SELECT scope[1]::uuid FROM lockstep.quarantine WHERE target IN ('${target}'))`;
  await pool.query(`DELETE FROM photos WHERE id IN ${scopes('media_files')}`);
  await pool.query(`DELETE FROM photos WHERE project_id IN ${scopes('project_media')}`);
  await pool.query(`DELETE FROM media_items WHERE id IN ${scopes('media_files')}`);
  await pool.query(`DELETE FROM generated_videos WHERE id IN ${scopes("media_files', 'generation_jobs")}`);
  await pool.query(`DELETE FROM subscriptions WHERE user_id IN ${scopes('user_subscriptions')}`);
  await pool.query(`UPDATE users SET subscription_plan = 'free' WHERE id IN ${scopes('user_subscriptions')}`);
}

const wide = { width: 1280, height: 1010 } as const;
const narrow = { width: 390, height: 844 } as const;
const shapes = {
  light: { ...wide, colorScheme: 'light' },
  dark: { ...wide, colorScheme: 'dark' },
  phone: { ...narrow, colorScheme: 'light' },
} as const;
type Shape = keyof typeof shapes;
const wideOnes = ['light', 'dark'] as const;
const withPhone = [...wideOnes, 'phone'] as const;

/** WebP keeps them small; Chromium itself converts. */
async function asWebp(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  try {
    const url = (await page.evaluate(`(async () => {
      const image = new Image();
      image.src = 'data:image/png;base64,${png.toString('base64')}';
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.8);
    })()`)) as string;
    return Buffer.from(url.split(',')[1] ?? '', 'base64');
  } finally {
    await page.close();
  }
}

async function withPage(browser: Browser, url: string, shape: Shape, work: (page: Page) => Promise<void>) {
  const { width, height, colorScheme } = shapes[shape];
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme,
    deviceScaleFactor: width === narrow.width ? 1.5 : 1,
  });
  try {
    await page.goto(url);
    await work(page);
  } finally {
    await page.close();
  }
}

/** One picture a shape, once the page's title says what it is to show. */
async function shoot(browser: Browser, url: string, name: string, title: RegExp, wanted: readonly Shape[] = wideOnes) {
  for (const shape of wanted) {
    await withPage(browser, url, shape, async (page) => {
      const deadline = Date.now() + 10 * 60_000;
      while (!title.test(await page.title())) {
        if (Date.now() > deadline) throw new Error(`The page never came to ${title}; it says: ${await page.title()}`);
        await delay(500);
      }
      await delay(3_000);
      const webp = await asWebp(browser, await page.screenshot({ fullPage: process.env.FULL === '1' }));
      await writeFile(join(images, `${name}-${shape}.webp`), webp);
      process.stdout.write(`${name}-${shape}.webp ${webp.length} bytes\n`);
    });
  }
}

async function run(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const { databaseUrl, dashboardUrl } = cleanup.use(await startMachine());
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  cleanup.defer(() => browser.close());
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  cleanup.defer(() => pool.end());
  const stopLegacyTraffic = startTraffic(pool, 'photos');
  cleanup.defer(stopLegacyTraffic);

  await shoot(browser, dashboardUrl, 'dashboard-backfill', /^Backfill running, [2-9]\d? %/);
  while ((await pool.query('SELECT FROM lockstep.backfill WHERE finished_at IS NULL')).rowCount) await delay(1_000);
  await lockstep('wait', '--timeout', '600');
  await lockstep('validate');
  await shoot(browser, dashboardUrl, 'dashboard-quarantine', /quarantine/);

  // Someone has written to a target by hand.
  await pool.query(`UPDATE media_files SET file_size_bytes = file_size_bytes + 1, original_filename = 'renamed by hand.jpg'
    WHERE id IN (SELECT id FROM media_files WHERE file_type = 'image' ORDER BY id LIMIT 3)`);
  const report = join(state, 'report.html');
  await lockstep('validate', '--html', report);
  await shoot(browser, pathToFileURL(report).href, 'report', /./, withPhone);
  await lockstep('validate', '--repair');

  for (let attempts = 0; attempts < 5; attempts += 1) {
    await mend(pool);
    await lockstep('wait', '--timeout', '600');
    await lockstep('retry');
  }
  await lockstep('validate');
  await shoot(browser, dashboardUrl, 'dashboard-steady', /^In step ·/, withPhone);

  await lockstep('arm', '--yes');
  await lockstep('validate');
  await shoot(browser, dashboardUrl, 'dashboard-cutover', /^In step ·/);
  await stopLegacyTraffic();
  await lockstep('cutover', '--yes');
  cleanup.defer(startTraffic(pool, 'media_files'));
  // What `arm` said would change.
  await lockstep('rollback', 'sync', '--all', '--yes');
  await lockstep('wait', '--timeout', '600');
  await lockstep('validate');
  await shoot(browser, dashboardUrl, 'dashboard-reverse', /^In step ·/);
}

try {
  await readFile(executablePath).catch(() => {
    throw new Error(`There is no Chromium at ${executablePath}. Install it: apt-get install chromium`);
  });
  await run();
} finally {
  await rm(state, { recursive: true });
}
