import { Match, type Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import {
  apply,
  databaseRoles,
  deadLetterAttributes,
  environment,
  queue,
  queueAttributes,
} from '../../infra/contract.ts';
import { type Resource, resourcesOf, synthesize } from './support.ts';

const prod = synthesize('prod');
const trial = synthesize('trial');
const staging = synthesize('staging');
const only = (resources: Record<string, Resource>): [id: string, properties: Record<string, unknown>] => {
  const [first, ...others] = Object.entries(resources);
  if (!first || others.length > 0) throw new Error(`${Object.keys(resources)} is not one resource`);
  return [first[0], first[1].Properties];
};
const functionOf = (template: Template, name: string) =>
  only(
    Object.fromEntries(
      Object.entries(resourcesOf(template, 'AWS::Lambda::Function')).filter(
        ([, { Properties }]) => Properties.FunctionName === name,
      ),
    ),
  )[1] as { Environment: { Variables: Record<string, unknown> }; Timeout: number; Handler: string; Runtime: string };

describe('queues', () => {
  const queues = resourcesOf(prod.pipeline, 'AWS::SQS::Queue');
  const named = (name: string) => Object.entries(queues).find(([, { Properties }]) => Properties.QueueName === name);
  const [deadId, dead] = named('lockstep-prod-dead.fifo') as [string, Resource];
  const [, main] = named('lockstep-prod.fifo') as [string, Resource];

  /** As the service's API takes them: everything a string, the redrive policy JSON. */
  const asAttributes = ({ Properties }: Resource, names: readonly string[]) =>
    Object.fromEntries(
      names.map((name) => [name, name === 'RedrivePolicy' ? Properties[name] : String(Properties[name] ?? false)]),
    );

  test('have the very attributes that the local machine gives them', () => {
    const deadNames = Object.keys(deadLetterAttributes());
    expect(asAttributes(dead, deadNames)).toEqual(deadLetterAttributes());
    const { RedrivePolicy, ...attributes } = queueAttributes('arn');
    const { RedrivePolicy: redrive, ...found } = asAttributes(main, Object.keys(queueAttributes('arn')));
    expect(found).toEqual(attributes);
    expect(redrive).toEqual({
      ...JSON.parse(RedrivePolicy ?? ''),
      deadLetterTargetArn: { 'Fn::GetAtt': [deadId, 'Arn'] },
    });
  });

  test('are FIFO with high throughput, and give the function six times its time', () => {
    expect(main.Properties).toMatchObject({
      FifoQueue: true,
      DeduplicationScope: 'messageGroup',
      FifoThroughputLimit: 'perMessageGroupId',
      VisibilityTimeout: 6 * functionOf(prod.pipeline, 'lockstep-prod-apply').Timeout,
    });
  });

  test('are encrypted with the deployment’s key and refuse plain HTTP', () => {
    const [key] = only(resourcesOf(prod.pipeline, 'AWS::KMS::Key'));
    for (const { Properties } of [dead, main]) {
      expect(Properties.KmsMasterKeyId).toEqual({ 'Fn::GetAtt': [key, 'Arn'] });
    }
    for (const id of Object.keys(queues)) {
      prod.pipeline.hasResourceProperties('AWS::SQS::QueuePolicy', {
        Queues: [{ Ref: id }],
        PolicyDocument: {
          Statement: Match.arrayWith([
            Match.objectLike({
              Effect: 'Deny',
              Action: 'sqs:*',
              Principal: { AWS: '*' },
              Condition: { Bool: { 'aws:SecureTransport': 'false' } },
            }),
          ]),
        },
      });
    }
  });

  test('outlive the stack in prod, and only there', () => {
    expect(main.DeletionPolicy).toBe('Retain');
    for (const { DeletionPolicy } of Object.values(resourcesOf(trial.pipeline, 'AWS::SQS::Queue'))) {
      expect(DeletionPolicy).toBe('Delete');
    }
  });
});

test('the event source takes whole batches, honours partial responses and is capped', () => {
  prod.pipeline.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    BatchSize: apply.batchSize,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: apply.concurrency },
  });
});

describe('functions', () => {
  const functions = {
    migrate: functionOf(prod.pipeline, 'lockstep-prod-migrate'),
    apply: functionOf(prod.pipeline, 'lockstep-prod-apply'),
    validate: functionOf(prod.validation, 'lockstep-prod-validate'),
    health: functionOf(prod.monitoring, 'lockstep-prod-health'),
    cutover: functionOf(prod.switching, 'lockstep-prod-cutover'),
    'rollback-sync': functionOf(prod.switching, 'lockstep-prod-rollback-sync'),
  };

  test.each(Object.entries(functions))('%s is named as its bundle, on Node 24, inside the VPC', (name, lambda) => {
    expect(lambda).toMatchObject({
      Runtime: 'nodejs24.x',
      Handler: `functions/${name}/main.handler`,
      VpcConfig: { SubnetIds: ['subnet-00000000000000c01', 'subnet-00000000000000c02'] },
    });
  });

  test('are given no variable that the contract does not name, and no password', () => {
    const known = new Set<string>(Object.values(environment));
    for (const { Environment } of Object.values(functions)) {
      expect(Object.keys(Environment.Variables).filter((name) => !known.has(name))).toEqual([]);
      expect(JSON.stringify(Environment)).not.toContain('resolve:secretsmanager');
    }
  });

  test('connect with the secret of a role of their own, verified against the authorities of RDS', () => {
    const secrets = resourcesOf(prod.pipeline, 'AWS::SecretsManager::Secret');
    const secretOf = (lambda: (typeof functions)['apply']) =>
      JSON.stringify(lambda.Environment.Variables[environment.databaseSecretArn]);
    const idOf = (role: string) =>
      Object.keys(secrets).find((id) => secrets[id]?.Properties.Name === `lockstep-prod/${role}`) ?? 'none';
    expect(secretOf(functions.apply)).toContain(idOf(databaseRoles.applier));
    expect(secretOf(functions.validate)).toContain(idOf(databaseRoles.validator));
    expect(secretOf(functions.health)).toContain(idOf(databaseRoles.monitor));
    expect(secretOf(functions.cutover)).toContain(idOf(databaseRoles.operator));
    expect(secretOf(functions['rollback-sync'])).toContain(idOf(databaseRoles.operator));
    expect(secretOf(functions.migrate)).toContain('photomemory-prod/administrator');
    for (const { Environment } of Object.values(functions)) {
      expect(Environment.Variables[environment.databaseCaFile]).toBe('/var/task/rds-ca.pem');
    }
  });
});

describe('secrets', () => {
  test('are one for each role, encrypted, and rotated', () => {
    const secrets = Object.entries(resourcesOf(prod.pipeline, 'AWS::SecretsManager::Secret'));
    const names = secrets.map(([, { Properties }]) => Properties.Name);
    expect(names.sort()).toEqual(
      Object.values(databaseRoles)
        .map((role) => `lockstep-prod/${role}`)
        .sort(),
    );
    for (const [id, { Properties, DeletionPolicy }] of secrets) {
      expect(Properties.KmsKeyId).toBeDefined();
      expect(DeletionPolicy).toBe('Retain');
      prod.pipeline.hasResourceProperties('AWS::SecretsManager::RotationSchedule', {
        SecretId: { Ref: id },
        RotateImmediatelyOnUpdate: false,
        RotationRules: { ScheduleExpression: 'rate(30 days)' },
        HostedRotationLambda: Match.objectLike({ RotationType: 'PostgreSQLSingleUser' }),
      });
    }
  });
});

describe('the listener', () => {
  const [, task] = only(resourcesOf(prod.pipeline, 'AWS::ECS::TaskDefinition'));
  const container = (task.ContainerDefinitions as Record<string, unknown>[])[0] ?? {};

  test('has a hot standby, and a deployment never runs without one', () => {
    prod.pipeline.hasResourceProperties('AWS::ECS::Service', {
      DesiredCount: 2,
      DeploymentConfiguration: {
        MinimumHealthyPercent: 100,
        MaximumPercent: 200,
        DeploymentCircuitBreaker: { Enable: true, Rollback: true },
      },
      NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: 'DISABLED' } },
      EnableExecuteCommand: false,
    });
  });

  test('is not root, cannot write its file system, and has a health check of its own', () => {
    expect(container).toMatchObject({
      User: '65532:65532',
      ReadonlyRootFilesystem: true,
      Essential: true,
      StopTimeout: 60,
      HealthCheck: { Command: ['CMD', '/nodejs/bin/node', '/app/functions/listener/probe.mjs'] },
    });
    expect(container).not.toHaveProperty('Secrets');
  });

  test('is given the variables that the contract names', () => {
    const names = (container.Environment as { Name: string }[]).map(({ Name }) => Name);
    const { databaseSecretArn, databaseCaFile, queueUrl, deadLetterQueueUrl, shards } = environment;
    const { metricNamespace, livenessPort } = environment;
    const known = [databaseSecretArn, databaseCaFile, queueUrl, deadLetterQueueUrl, shards, metricNamespace];
    expect(names.sort()).toEqual(['AWS_REGION', ...known, livenessPort].sort());
  });

  test('is an image whose base is pinned by digest', () => {
    expect(prod.config.listener.baseImage).toMatch(/@sha256:[0-9a-f]{64}$/);
  });
});

describe('a deployment', () => {
  test('migrates before anything runs', () => {
    const resources = resourcesOf(prod.pipeline);
    const [trigger] = Object.keys(resourcesOf(prod.pipeline, 'Custom::Trigger'));
    const waiting = ['AWS::ECS::Service', 'AWS::Lambda::EventSourceMapping'];
    for (const { Type, DependsOn } of Object.values(resources)) {
      if (waiting.includes(Type)) expect([DependsOn].flat()).toContain(trigger);
    }
  });

  test('keeps logs as long as the configuration says, encrypted', () => {
    for (const { config, all } of [prod, trial, staging]) {
      const groups = all.flatMap((template) => Object.values(resourcesOf(template, 'AWS::Logs::LogGroup')));
      expect(groups.length).toBeGreaterThanOrEqual(5);
      for (const { Properties } of groups) {
        expect(Properties).toMatchObject({ RetentionInDays: config.retention.logDays, KmsKeyId: expect.anything() });
      }
    }
  });

  test('keeps reports in a bucket that is closed, encrypted and TLS only', () => {
    prod.validation.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          Match.objectLike({ ServerSideEncryptionByDefault: Match.objectLike({ SSEAlgorithm: 'aws:kms' }) }),
        ],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
    const buckets = Object.values(resourcesOf(prod.validation, 'AWS::S3::Bucket'));
    expect(buckets.map(({ DeletionPolicy }) => DeletionPolicy)).toEqual(['Retain', 'Retain']);
    const denies = Object.values(resourcesOf(prod.validation, 'AWS::S3::BucketPolicy')).filter(({ Properties }) =>
      JSON.stringify(Properties).includes('"aws:SecureTransport":"false"'),
    );
    expect(denies).toHaveLength(buckets.length);
  });

  test('validates on its schedules', () => {
    for (const [task, expression] of [
      ['counts', 'rate(5 minutes)'],
      ['rows', 'rate(30 minutes)'],
      ['upkeep', 'rate(1 day)'],
    ]) {
      prod.validation.hasResourceProperties('AWS::Scheduler::Schedule', {
        ScheduleExpression: expression,
        Target: Match.objectLike({ Input: JSON.stringify({ task }) }),
      });
    }
  });

  test('makes endpoints for subnets without NAT, and none otherwise', () => {
    expect(Object.keys(resourcesOf(staging.pipeline, 'AWS::EC2::VPCEndpoint'))).toHaveLength(6);
    expect(Object.keys(resourcesOf(prod.pipeline, 'AWS::EC2::VPCEndpoint'))).toHaveLength(0);
  });

  test('tells deployments of one account apart by the namespace of their metrics', () => {
    expect(functionOf(prod.monitoring, 'lockstep-prod-health').Environment.Variables[environment.metricNamespace]).toBe(
      'Lockstep/prod',
    );
  });

  test('in an empty account brings a database with logical replication on, which nobody outside can reach', () => {
    const database = trial.all[0] as Template;
    database.hasResourceProperties('AWS::RDS::DBParameterGroup', {
      Parameters: Match.objectLike({ 'rds.logical_replication': '1', 'rds.force_ssl': '1' }),
    });
    database.hasResourceProperties('AWS::RDS::DBInstance', { PubliclyAccessible: false, StorageEncrypted: true });
    const { Variables } = functionOf(trial.pipeline, 'lockstep-trial-migrate').Environment;
    expect(Variables[environment.trialUsers]).toBe('1000');
    expect(functionOf(prod.pipeline, 'lockstep-prod-migrate').Environment.Variables).not.toHaveProperty(
      environment.trialUsers,
    );
  });
});

test('a message is received often enough before it is set aside that an outage loses none', () => {
  // Each try that fails gives the message back with a pause; at the visibility timeout alone this is days.
  expect((queue.maxReceiveCount * queue.visibilityTimeoutSeconds) / 86_400).toBeGreaterThan(3);
});
