import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { Config } from '../config/schema.ts';
import { acknowledge } from '../shared/acknowledge.ts';
import type { DatabaseAccess, Network } from '../shared/deployment.ts';

type Existing = Extract<Config, { kind: 'existing' }>;

/** The VPC by what the configuration says of it: nothing is looked up, so synth needs no credentials. */
export function existingNetwork(scope: Construct, config: Config): Network {
  const { network } = existingOnly(config);
  const vpc = Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: network.vpcId,
    availabilityZones: network.availabilityZones,
    privateSubnetIds: network.privateSubnetIds,
    ...(network.egress.kind === 'endpoints' && { privateSubnetRouteTableIds: network.egress.routeTableIds }),
  });
  if (network.egress.kind === 'nat') {
    acknowledge(vpc, { '@aws-cdk/aws-ec2:noSubnetRouteTableId': 'Nothing is added to the routes of these subnets.' });
  }
  return { vpc, subnets: { subnets: vpc.privateSubnets } };
}

export function existingDatabase(scope: Construct, config: Config): DatabaseAccess {
  const { database } = existingOnly(config);
  const keyArn = database.administratorSecretKeyArn;
  return {
    host: database.host,
    port: database.port,
    name: database.name,
    securityGroup: SecurityGroup.fromSecurityGroupId(scope, 'DatabaseSecurityGroup', database.securityGroupId, {
      mutable: false,
    }),
    administrator: Secret.fromSecretAttributes(scope, 'Administrator', {
      secretCompleteArn: database.administratorSecretArn,
      ...(keyArn !== undefined && { encryptionKey: Key.fromKeyArn(scope, 'AdministratorKey', keyArn) }),
    }),
    metricDimensions:
      'instanceIdentifier' in database.metrics
        ? { DBInstanceIdentifier: database.metrics.instanceIdentifier }
        : { DBClusterIdentifier: database.metrics.clusterIdentifier },
  };
}

function existingOnly(config: Config): Existing {
  if (config.kind !== 'existing') throw new Error('A trial makes its own network and database.');
  return config;
}
