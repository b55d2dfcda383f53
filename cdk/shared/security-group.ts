import { CfnSecurityGroupIngress, type ISecurityGroup, Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { Deployment } from './deployment.ts';

/**
 * Nothing may come in; out go connections to the database, and HTTPS to AWS. Where HTTPS can go is decided by the
 * subnets' routes: the addresses of SQS and Secrets Manager are not fixed.
 */
export function createSecurityGroup(
  scope: Construct,
  { network, database, endpoints }: Deployment,
  description: string,
): ISecurityGroup {
  const group = new SecurityGroup(scope, 'SecurityGroup', { vpc: network.vpc, description, allowAllOutbound: false });
  group.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'AWS APIs');
  group.addEgressRule(database.securityGroup, Port.tcp(database.port), 'the database');
  // In this stack and not in those of the other groups, on which this one depends.
  const open = (id: string, target: ISecurityGroup, port: number) =>
    new CfnSecurityGroupIngress(scope, id, {
      groupId: target.securityGroupId,
      sourceSecurityGroupId: group.securityGroupId,
      ipProtocol: 'tcp',
      fromPort: port,
      toPort: port,
      description,
    });
  open('DatabaseIngress', database.securityGroup, database.port);
  if (endpoints) open('EndpointIngress', endpoints.securityGroup, 443);
  return group;
}
