import type { DevHooks } from '../engine/migration/dev.ts';
import { seedLegacy } from './seed.ts';
import { startTraffic } from './traffic.ts';

export const dev: DevHooks = {
  seed: (client, { users }) => seedLegacy(client, { users }),
  traffic: (options) => startTraffic(options),
};
