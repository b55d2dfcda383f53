import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { AssetStaging, Duration, Stack } from 'aws-cdk-lib';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import {
  Cluster,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LinuxParameters,
  LogDriver,
  OperatingSystemFamily,
} from 'aws-cdk-lib/aws-ecs';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { environment } from '../../infra/contract.ts';
import { bundled } from '../bundle/asset.ts';
import { authoritiesFile, writeBundle } from '../bundle/bundle.ts';
import { acknowledge } from '../shared/acknowledge.ts';
import type { Deployment } from '../shared/deployment.ts';
import { createLogGroup } from '../shared/log-group.ts';
import { readSecret } from '../shared/read-secret.ts';
import { createSecurityGroup } from '../shared/security-group.ts';
import { sendTo } from '../shared/send-to.ts';
import type { Queues } from './queues.ts';

const livenessPort = 8080;
const node = '/nodejs/bin/node';
const folder = join(import.meta.dirname, '../listener');

/**
 * The listener: two tasks, of which one has the slot and the other waits for it. A deployment starts new ones before it
 * ends old ones and goes back when they do not live, so at no moment is there none.
 */
export function createListener(
  parent: Construct,
  deployment: Deployment,
  { queue, deadLetters }: Queues,
  secret: ISecret,
): FargateService {
  const { config, prefix, network } = deployment;
  const scope = new Construct(parent, 'Listener');
  const cluster = new Cluster(scope, 'Cluster', {
    clusterName: prefix,
    vpc: network.vpc,
    containerInsightsV2: ContainerInsights.ENABLED,
  });
  const task = new FargateTaskDefinition(scope, 'Task', {
    family: `${prefix}-listener`,
    cpu: config.listener.cpu,
    memoryLimitMiB: config.listener.memoryMiB,
    runtimePlatform: { cpuArchitecture: CpuArchitecture.ARM64, operatingSystemFamily: OperatingSystemFamily.LINUX },
  });
  task.addContainer('listener', {
    image: ContainerImage.fromDockerImageAsset(createImage(scope, config.listener.baseImage)),
    essential: true,
    readonlyRootFilesystem: true,
    user: '65532:65532',
    linuxParameters: new LinuxParameters(scope, 'Linux', { initProcessEnabled: true }),
    // SIGTERM finishes the round in hand.
    stopTimeout: Duration.seconds(60),
    environment: {
      AWS_REGION: Stack.of(scope).region,
      [environment.databaseSecretArn]: secret.secretArn,
      [environment.databaseCaFile]: `/app/${authoritiesFile}`,
      [environment.queueUrl]: queue.queueUrl,
      [environment.deadLetterQueueUrl]: deadLetters.queueUrl,
      [environment.shards]: String(config.shards),
      [environment.metricNamespace]: deployment.metricNamespace,
      [environment.livenessPort]: String(livenessPort),
    },
    logging: LogDriver.awsLogs({ logGroup: createLogGroup(scope, deployment, 'listener'), streamPrefix: 'listener' }),
    healthCheck: {
      command: ['CMD', node, '/app/functions/listener/probe.mjs'],
      interval: Duration.seconds(30),
      timeout: Duration.seconds(5),
      retries: 3,
      startPeriod: Duration.seconds(30),
    },
  });
  readSecret(task.taskRole, secret);
  sendTo(task.taskRole, deployment, queue);
  // Whether a message that is missed may be there, before it is given up for lost.
  task.taskRole.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources: [deadLetters.queueArn] }),
  );
  acknowledge(task, {
    'AwsSolutions-ECS2':
      'The variables are names, addresses and numbers. The password is read from Secrets Manager by the process, at each connection: one that ECS injects would not survive its rotation.',
    'AwsSolutions-IAM5[Resource::*]':
      'ecr:GetAuthorizationToken takes no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html',
  });
  return new FargateService(scope, 'Service', {
    serviceName: 'listener',
    // Cluster declares as "or undefined" what ICluster declares as optional.
    cluster: cluster as ICluster,
    taskDefinition: task,
    desiredCount: 2,
    minHealthyPercent: 100,
    maxHealthyPercent: 200,
    circuitBreaker: { enable: true, rollback: true },
    assignPublicIp: false,
    vpcSubnets: network.subnets,
    securityGroups: [createSecurityGroup(scope, deployment, `${prefix} listener`)],
    enableExecuteCommand: false,
  });
}

/** The image is built when it is published, not at synth: until then it is a folder with a Dockerfile. */
function createImage(scope: Construct, baseImage: string): DockerImageAsset {
  const write = (output: string) => {
    cpSync(join(folder, 'Dockerfile'), join(output, 'Dockerfile'));
    writeBundle('listener', join(output, 'app'));
  };
  const staging = new AssetStaging(scope, 'Bundle', { sourcePath: folder, ...bundled(write) });
  return new DockerImageAsset(scope, 'Image', {
    directory: staging.absoluteStagedPath,
    platform: Platform.LINUX_ARM64,
    buildArgs: { BASE_IMAGE: baseImage },
  });
}
