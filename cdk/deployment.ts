import { type App, type Environment, Tags } from 'aws-cdk-lib';
import type { Config } from './config/schema.ts';
import { MonitoringStack } from './monitoring/stack.ts';
import { PipelineStack } from './pipeline/stack.ts';
import { SwitchingStack } from './switching/stack.ts';
import { TrialStack } from './trial/stack.ts';
import { ValidationStack } from './validation/stack.ts';

export interface Stacks {
  readonly trial: TrialStack | undefined;
  readonly pipeline: PipelineStack;
  readonly validation: ValidationStack;
  readonly switching: SwitchingStack;
  readonly monitoring: MonitoringStack;
}

/** The stacks of one deployment, named `Lockstep-NAME-…`. A trial is made in whatever account deploys it. */
export function createStacks(app: App, config: Config): Stacks {
  const env: Environment = config.kind === 'existing' ? { account: config.account, region: config.region } : {};
  const name = (part: string) => `Lockstep-${config.name}-${part}`;
  const common = { env, terminationProtection: config.production };
  const trial = config.kind === 'trial' ? new TrialStack(app, name('Trial'), { ...common, config }) : undefined;
  const pipeline = new PipelineStack(app, name('Pipeline'), { ...common, config, ...(trial && { trial }) });
  const validation = new ValidationStack(app, name('Validation'), { ...common, pipeline });
  const switching = new SwitchingStack(app, name('Switching'), { ...common, pipeline });
  const monitoring = new MonitoringStack(app, name('Monitoring'), { ...common, pipeline, validation });
  for (const [key, value] of Object.entries({ application: 'lockstep', deployment: config.name, ...config.tags })) {
    Tags.of(app).add(key, value);
  }
  return { trial, pipeline, validation, switching, monitoring };
}
