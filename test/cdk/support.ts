import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { afterAll } from 'vitest';
import { addChecks } from '../../cdk/checks.ts';
import { readConfig } from '../../cdk/config/read.ts';
import type { Config } from '../../cdk/config/schema.ts';
import { createStacks, type Stacks } from '../../cdk/deployment.ts';

export const environments = ['trial', 'dev', 'staging', 'prod'] as const;
export type EnvironmentName = (typeof environments)[number];

export const root = join(import.meta.dirname, '../..');

const outputs: string[] = [];
afterAll(() => {
  for (const folder of outputs) rmSync(folder, { recursive: true, force: true });
});

/** What `npx cdk` would hand to the app, without the bundles: those are another test's. */
export function createApp(): App {
  const { context } = JSON.parse(readFileSync(join(root, 'cdk.json'), 'utf8')) as { context: Record<string, unknown> };
  const outdir = mkdtempSync(join(tmpdir(), 'lockstep-cdk-'));
  outputs.push(outdir);
  return new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] }, outdir });
}

export interface Synthesized {
  readonly config: Config;
  readonly stacks: Stacks;
  readonly pipeline: Template;
  readonly validation: Template;
  readonly switching: Template;
  readonly monitoring: Template;
  readonly all: readonly Template[];
}

/** Templates of an environment. With `checked`, throws what the deployment's checks find. */
export function synthesize(name: EnvironmentName, { checked = false } = {}): Synthesized {
  const app = createApp();
  const config = readConfig(name);
  const stacks = createStacks(app, config);
  if (checked) addChecks(app);
  app.synth();
  const pipeline = Template.fromStack(stacks.pipeline);
  const validation = Template.fromStack(stacks.validation);
  const switching = Template.fromStack(stacks.switching);
  const monitoring = Template.fromStack(stacks.monitoring);
  const trial = stacks.trial ? [Template.fromStack(stacks.trial)] : [];
  return {
    config,
    stacks,
    pipeline,
    validation,
    switching,
    monitoring,
    all: [...trial, pipeline, validation, switching, monitoring],
  };
}

export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly DependsOn?: string | string[];
  readonly DeletionPolicy?: string;
}

/** By logical id. */
export function resourcesOf(template: Template, type?: string): Record<string, Resource> {
  const all = template.toJSON().Resources as Record<string, Resource>;
  return Object.fromEntries(Object.entries(all).filter(([, { Type }]) => type === undefined || Type === type));
}
