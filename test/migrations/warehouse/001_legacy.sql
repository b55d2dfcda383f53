-- A legacy schema that is nothing like PhotoMemory: another schema with a space in its name, names in capitals and
-- other scripts, composite keys, text, bigint, smallint and date keys.
CREATE SCHEMA "Old Shop";

CREATE TABLE "Old Shop"."order line" (
  order_no BIGINT NOT NULL,
  "line №" SMALLINT NOT NULL,
  "customer e-mail" TEXT NOT NULL,
  customer_name TEXT,
  sku TEXT NOT NULL,
  "select" INTEGER NOT NULL DEFAULT 1,
  price NUMERIC(10,2) NOT NULL DEFAULT 0,
  note TEXT,
  changed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (order_no, "line №")
);
-- Many lines become one customer, so a customer's row cannot tell which lines it came from: a line that changes hands
-- must say whose it was. Its replica identity therefore holds the routing columns as well.
CREATE UNIQUE INDEX order_line_identity ON "Old Shop"."order line" (order_no, "line №", "customer e-mail", sku);
ALTER TABLE "Old Shop"."order line" REPLICA IDENTITY USING INDEX order_line_identity;
CREATE INDEX ON "Old Shop"."order line" ("customer e-mail");
CREATE INDEX ON "Old Shop"."order line" (sku, "customer e-mail");

CREATE TABLE "Old Shop"."Preis" (
  sku TEXT NOT NULL,
  valid_from DATE NOT NULL,
  amount NUMERIC(10,2) NOT NULL,
  PRIMARY KEY (sku, valid_from)
);
CREATE TABLE "Old Shop".stock (sku TEXT PRIMARY KEY, quantity INTEGER NOT NULL);
