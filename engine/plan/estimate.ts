import type { Sample, TableSize } from './tables.ts';

export interface BackfillEstimate {
  readonly target: string;
  readonly scopes: number;
  /** Rows that the target will hold, by the sample's rows per scope. */
  readonly rows: number;
  readonly seconds: number;
}

/**
 * How much longer a chunk takes than deriving its rows: comparing, inserting with indexes and foreign keys, committing.
 * An assumption that errs on the long side; `--write-factor` sets another.
 */
export const defaultWriteFactor = 5;

/** Time and rows from a measured sample: as many times as there are more scopes. */
export function estimateBackfill(sample: Sample, writeFactor: number): BackfillEstimate {
  const share = sample.sampledScopes === 0 ? 0 : sample.scopes / sample.sampledScopes;
  return {
    target: sample.target,
    scopes: sample.scopes,
    rows: Math.round(sample.sampledRows * share),
    seconds: (sample.sampledMs / 1000) * share * writeFactor,
  };
}

export interface SqsPrice {
  /** Of one million requests to a FIFO queue, in US dollars. */
  readonly perMillionRequests: number;
  readonly source: string;
}

/** us-east-1, FIFO, beyond the first million of a month, as the page said in November 2025. */
export const defaultSqsPrice: SqsPrice = {
  perMillionRequests: 0.5,
  source: 'https://aws.amazon.com/sqs/pricing/',
};

export interface SqsEstimate {
  /** Changes of the sources per day; null: nothing is known of them. */
  readonly changesPerDay: number | null;
  /** When every change is sent alone: sent, received, deleted. */
  readonly requestsPerDayAtMost: number | null;
  /** When changes come in bulk: ten messages of many keys each to a request. */
  readonly requestsPerMillionInBulk: number;
  /** The functions' pollers ask also when there is nothing. */
  readonly idleRequestsPerDay: number;
  readonly dollarsPerMonthAtMost: number | null;
  readonly arithmetic: readonly string[];
  readonly price: SqsPrice;
}

const requestsPerChange = 3;
/** Bytes of a key and its routing values in a message, as JSON; a message holds 64 KiB. */
const bytesPerKey = 80;
const bytesPerMessage = 64 * 1024;
const messagesPerRequest = 10;
/** Lambda keeps so many long polls open, each of 20 s: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html */
const pollers = 5;
const secondsPerPoll = 20;
const secondsPerDay = 86_400;
const daysPerMonth = 30;

/** What the queue will be asked and what that costs, with the arithmetic. The backfill does not use the queue. */
export function estimateSqs(sources: readonly TableSize[], price: SqsPrice): SqsEstimate {
  const known = sources.flatMap(({ changesPerDay }) => (changesPerDay === null ? [] : [changesPerDay]));
  const changesPerDay = known.length === 0 ? null : known.reduce((sum, changes) => sum + changes, 0);
  const idleRequestsPerDay = (pollers * secondsPerDay) / secondsPerPoll;
  const keysPerMessage = Math.floor(bytesPerMessage / bytesPerKey);
  const messagesPerMillion = Math.ceil(1_000_000 / keysPerMessage);
  const requestsPerMillionInBulk = requestsPerChange * Math.ceil(messagesPerMillion / messagesPerRequest);
  const requestsPerDayAtMost = changesPerDay === null ? null : changesPerDay * requestsPerChange + idleRequestsPerDay;
  const dollarsPerMonthAtMost =
    requestsPerDayAtMost === null ? null : (requestsPerDayAtMost * daysPerMonth * price.perMillionRequests) / 1_000_000;
  return {
    changesPerDay,
    requestsPerDayAtMost,
    requestsPerMillionInBulk,
    idleRequestsPerDay,
    dollarsPerMonthAtMost,
    arithmetic: [
      `idle: ${pollers} long polls of ${secondsPerPoll} s = ${idleRequestsPerDay} requests a day`,
      changesPerDay === null
        ? 'changes a day: the server has no statistics'
        : `at most, every change alone: ${changesPerDay} changes a day x ${requestsPerChange} (send, receive, delete) + ${idleRequestsPerDay} idle = ${requestsPerDayAtMost} requests a day`,
      `in bulk: 1,000,000 changes / ${keysPerMessage} keys of ${bytesPerKey} bytes in ${bytesPerMessage} = ${messagesPerMillion} messages / ${messagesPerRequest} x ${requestsPerChange} = ${requestsPerMillionInBulk} requests`,
      `price: ${price.perMillionRequests} dollars per million requests (${price.source})`,
    ],
    price,
  };
}

export interface ConnectionEstimate {
  readonly appliers: number;
  readonly needed: number;
  readonly arithmetic: string;
}

/** A function holds one connection for its merge and one for the ledger; the listener has two and the replication one. */
export function estimateConnections(concurrency: number): ConnectionEstimate {
  const [perApplier, listener, others] = [2, 3, 4];
  const needed = concurrency * perApplier + listener + others;
  const arithmetic = `${concurrency} appliers x ${perApplier} + listener ${listener} + validation, health and command line ${others} = ${needed}`;
  return { appliers: concurrency, needed, arithmetic };
}
