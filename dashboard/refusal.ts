import type { IncomingMessage } from 'node:http';

export interface Refusal {
  readonly status: number;
  readonly text: string;
}

/**
 * Why a request is not answered; undefined when it is. A page elsewhere can point a name of its own at 127.0.0.1 (DNS
 * rebinding), which the Host header gives away, and can make a browser ask, which Origin or Sec-Fetch-Site gives away
 * (https://www.w3.org/TR/fetch-metadata/). A person who follows a link to the page is let in.
 */
export function refusalOf(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  port: number,
): Refusal | undefined {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(headers.host ?? '')) return { status: 421, text: 'This page answers to 127.0.0.1 only.' };
  if (method !== 'GET') return { status: 405, text: 'This page only shows.' };
  const elsewhere = headers.origin !== undefined && !hosts.some((host) => headers.origin === `http://${host}`);
  const fetchedElsewhere =
    /^(cross-site|same-site)$/.test(header(headers['sec-fetch-site'])) &&
    header(headers['sec-fetch-mode']) !== 'navigate';
  return elsewhere || fetchedElsewhere ? { status: 403, text: 'This page answers to itself only.' } : undefined;
}

function header(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : '';
}
