import { environment } from '../../infra/contract.ts';
import { setting } from '../settings.ts';

/** The container's health check: the image has no shell and no curl. Exit code 0 when the listener answers. */
const answer = await fetch(`http://127.0.0.1:${setting(environment.livenessPort)}/`, {
  signal: AbortSignal.timeout(4_000),
}).catch(() => undefined);
process.exitCode = answer?.ok ? 0 : 1;
