import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** The Chromium of this machine. Without one a test of the page fails: that it was not looked at is no success. */
export function chromiumPath(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
  if (found) return found;
  throw new Error(`The page cannot be tried without a browser. Install Chromium: apt-get install chromium.`);
}

/** Headless; whoever starts it closes it. */
export async function startBrowser(): Promise<Browser> {
  // The sandbox needs user namespaces, which a container's root has not.
  return await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });
}
