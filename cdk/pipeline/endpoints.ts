import {
  GatewayVpcEndpoint,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  SecurityGroup,
} from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { Config } from '../config/schema.ts';
import { type Endpoints, type Network, prefixOf } from '../shared/deployment.ts';

/**
 * Ways to AWS for subnets without NAT: one for each service that the functions and the listener speak to, and those that
 * Fargate needs to start a task (https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html).
 * Undefined with NAT.
 */
export function createEndpoints(parent: Construct, config: Config, { vpc, subnets }: Network): Endpoints | undefined {
  if (config.kind !== 'existing' || config.network.egress.kind !== 'endpoints') return undefined;
  const scope = new Construct(parent, 'Endpoints');
  const securityGroup = new SecurityGroup(scope, 'SecurityGroup', {
    vpc,
    description: `${prefixOf(config)} interface endpoints`,
    allowAllOutbound: false,
  });
  const services = {
    Sqs: InterfaceVpcEndpointAwsService.SQS,
    SecretsManager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    Ecr: InterfaceVpcEndpointAwsService.ECR,
    EcrDocker: InterfaceVpcEndpointAwsService.ECR_DOCKER,
  };
  const interfaces = Object.entries(services).map(
    ([name, service]) =>
      new InterfaceVpcEndpoint(scope, name, {
        vpc,
        subnets,
        service,
        securityGroups: [securityGroup],
        privateDnsEnabled: true,
        open: false,
      }),
  );
  const storage = new GatewayVpcEndpoint(scope, 'S3', {
    vpc,
    service: GatewayVpcEndpointAwsService.S3,
    subnets: [subnets],
  });
  return { securityGroup, all: [...interfaces, storage] };
}
