import type pg from 'pg';
import { createApplier } from '../../engine/apply/applier.ts';
import type { ApplyLimits } from '../../engine/apply/limits.ts';
import type { Failpoint } from '../../engine/failpoint.ts';
import type { LoadedDirection } from '../../engine/migration/load.ts';
import { silent } from '../../engine/telemetry.ts';

/** An applier that stops once at a failpoint, the given time that it comes there, until it is let go. */
export function held(pool: pg.Pool, loaded: LoadedDirection, at: Failpoint, time = 1, limits?: ApplyLimits) {
  const reached = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let times = 0;
  const applier = createApplier({
    pool,
    loaded,
    telemetry: silent,
    ...(limits && { limits }),
    async failpoints(point) {
      if (point !== at || ++times !== time) return;
      reached.resolve();
      await gate.promise;
    },
  });
  return { applier, reached: reached.promise, letGo: () => gate.resolve() };
}
