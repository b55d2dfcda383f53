CREATE SCHEMA lockstep_reverse;

CREATE VIEW lockstep_reverse.orders AS
SELECT o.id, o.customer_email, c.name AS customer_name, a.street, a.zip, a.city, o.total_cents, o.note, o.ordered_at
FROM sales.orders o
CROSS JOIN LATERAL (SELECT name FROM sales.customers WHERE email = o.customer_email OFFSET 0) AS c
CROSS JOIN LATERAL (
  SELECT street, zip, city FROM sales.addresses WHERE customer_email = o.customer_email AND id = o.address_id OFFSET 0
) AS a;

-- What legacy has no place for.
CREATE VIEW lockstep_reverse.losses AS
SELECT
  'customers' AS target,
  ARRAY[c.email] AS key,
  NULL::TEXT AS column_name,
  'a customer without orders is nowhere in legacy' AS reason
FROM sales.customers c
WHERE NOT EXISTS (SELECT FROM sales.orders o WHERE o.customer_email = c.email)
UNION ALL
SELECT 'addresses', ARRAY[a.customer_email, a.id::TEXT], NULL, 'an address without orders is nowhere in legacy'
FROM sales.addresses a
WHERE NOT EXISTS (SELECT FROM sales.orders o WHERE o.customer_email = a.customer_email AND o.address_id = a.id)
UNION ALL
SELECT 'addresses', ARRAY[a.customer_email, a.id::TEXT], 'id', 'an address comes back under the id that its text makes'
FROM sales.addresses a
WHERE a.id <> lockstep_forward.address_id(a.customer_email, a.street, a.zip, a.city)
UNION ALL
SELECT 'orders', ARRAY[o.id::TEXT], 'address_id', 'an address comes back under the id that its text makes'
FROM sales.orders o
JOIN sales.addresses a ON a.customer_email = o.customer_email AND a.id = o.address_id
WHERE a.id <> lockstep_forward.address_id(a.customer_email, a.street, a.zip, a.city);
