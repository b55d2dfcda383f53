import { expect, test, vi } from 'vitest';
import { metricUnit } from '../../../infra/contract.ts';
import { createAwsTelemetry } from '../../../infra/telemetry/aws.ts';
import { createTerminalTelemetry } from '../../../infra/telemetry/terminal.ts';

test('a metric ends in its unit', () => {
  expect(['apply_lag_ms', 'capture_lag_bytes', 'apply_scopes'].map(metricUnit)).toEqual([
    'Milliseconds',
    'Bytes',
    'Count',
  ]);
});

test('lines for people', () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) > 0 };
  const telemetry = createTerminalTelemetry({ stream, now: () => new Date('2026-01-02T03:04:05Z') });
  telemetry.log('warn', 'sqs.entries_refused', { entries: 3, code: 'two words', lsn: 5n, nested: { big: 7n } });
  telemetry.log('debug', 'too small to show');
  expect(lines).toEqual(['03:04:05 warn  sqs.entries_refused entries=3 code="two words" lsn=5 nested={"big":"7"}\n']);
});

test('logs are JSON lines, metrics are in the embedded metric format and summed up', () => {
  const written: string[] = [];
  const capture = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => written.push(String(chunk)) > 0);
  try {
    using telemetry = createAwsTelemetry({ service: 'apply', env: {} });
    telemetry.log('info', 'apply.done', { messages: 2, lsn: 5n });
    telemetry.log('debug', 'not at this level');
    for (let n = 0; n < 250; n++) telemetry.measure('apply_scopes', 2);
    telemetry.measure('apply_lag_ms', 12);
    telemetry.measure('apply_lag_ms', 15);
    telemetry.flush();
  } finally {
    capture.mockRestore();
  }
  const [log, metrics, ...rest] = written
    .join('')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(rest).toEqual([]);
  expect(log).toMatchObject({ level: 'INFO', message: 'apply.done', service: 'apply', messages: 2, lsn: '5' });
  expect(metrics).toMatchObject({ service: 'apply', apply_scopes: 500, apply_lag_ms: [12, 15] });
  expect(metrics._aws.CloudWatchMetrics).toMatchObject([
    {
      Namespace: 'Lockstep',
      Metrics: expect.arrayContaining([
        { Name: 'apply_scopes', Unit: 'Count' },
        { Name: 'apply_lag_ms', Unit: 'Milliseconds' },
      ]),
    },
  ]);
});
