CREATE SCHEMA lockstep_forward;

-- Many legacy rows to one normalized row: the newest line's name counts.
CREATE VIEW lockstep_forward.customers AS
SELECT "customer e-mail" AS email,
       (array_agg(customer_name ORDER BY order_no DESC, "line №" DESC))[1] AS name,
       count(*)::INTEGER AS line_count
FROM "Old Shop"."order line" GROUP BY "customer e-mail";

CREATE VIEW lockstep_forward.orders AS
SELECT order_no, (array_agg("customer e-mail" ORDER BY "line №"))[1] AS email, sum("select" * price)::NUMERIC(12,2) AS total
FROM "Old Shop"."order line" GROUP BY order_no;

CREATE VIEW lockstep_forward.order_lines AS
SELECT order_no, "line №" AS line_no, row_number() OVER (PARTITION BY order_no ORDER BY "line №")::INTEGER AS "position",
       sku, "select" AS quantity, json_build_object('note', note) AS note
FROM "Old Shop"."order line";

-- One target fed by three sources.
CREATE VIEW lockstep_forward.products AS
SELECT k.sku,
       (SELECT p.amount FROM "Old Shop"."Preis" p WHERE p.sku = k.sku ORDER BY p.valid_from DESC LIMIT 1) AS price,
       (SELECT coalesce(sum(l."select"), 0) FROM "Old Shop"."order line" l WHERE l.sku = k.sku) AS sold,
       k.quantity AS in_stock
FROM "Old Shop".stock k;

CREATE VIEW lockstep_forward.sku_customers AS
SELECT sku, "customer e-mail" AS email, count(*) AS "lines" FROM "Old Shop"."order line" GROUP BY sku, "customer e-mail";
