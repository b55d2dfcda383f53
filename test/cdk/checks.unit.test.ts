import { Stack } from 'aws-cdk-lib';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { describe, expect, test } from 'vitest';
import { addChecks } from '../../cdk/checks.ts';
import { createApp, environments, synthesize } from './support.ts';

describe('every environment', () => {
  test.each(environments)('%s has no finding of cdk-nag and fits the schemas of its resources', (name) => {
    expect(() => synthesize(name, { checked: true })).not.toThrow();
  });
});

test('a finding of cdk-nag fails the synthesis, and so does a property that its resource does not have', () => {
  const app = createApp();
  const bucket = new CfnBucket(new Stack(app, 'Careless'), 'Bucket', {});
  bucket.addPropertyOverride('NoSuchProperty', true);
  addChecks(app);
  const synth = () => app.synth();
  expect(synth).toThrow(/ERROR .*SSL.*AwsSolutions/);
  expect(synth).toThrow(/ERROR NoSuchProperty/);
});
