-- Whether every target of the direction was asked for: "agrees" of some targets says nothing about the others.
ALTER TABLE lockstep.validation ADD COLUMN whole boolean NOT NULL DEFAULT true;
