import { App } from 'aws-cdk-lib';
import { addChecks } from './checks.ts';
import { ConfigError, readConfig } from './config/read.ts';
import { createStacks } from './deployment.ts';

/** What `npx cdk` runs: the stacks of `--context environment=NAME`, checked while they are written. */
const app = new App();
try {
  createStacks(app, readConfig(String(app.node.getContext('environment'))));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
addChecks(app);
app.synth();
