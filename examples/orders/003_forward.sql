CREATE SCHEMA lockstep_forward;

CREATE FUNCTION lockstep_forward.address_id(email TEXT, street TEXT, zip TEXT, city TEXT) RETURNS UUID
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN md5(jsonb_build_array(email, street, zip, city)::TEXT)::UUID;

-- The newest order knows the customer's name best. The order is complete (it ends with the key), so that the answer does
-- not depend on how rows are read.
CREATE VIEW lockstep_forward.customers AS
SELECT
  customer_email AS email,
  coalesce((array_agg(customer_name ORDER BY ordered_at DESC, id DESC))[1], customer_email) AS name
FROM shop.orders
GROUP BY customer_email;

CREATE VIEW lockstep_forward.addresses AS
SELECT customer_email, lockstep_forward.address_id(customer_email, street, zip, city) AS id, street, zip, city
FROM shop.orders
GROUP BY customer_email, street, zip, city;

CREATE VIEW lockstep_forward.orders AS
SELECT
  id,
  customer_email,
  lockstep_forward.address_id(customer_email, street, zip, city) AS address_id,
  total_cents,
  note,
  ordered_at
FROM shop.orders;

CREATE VIEW lockstep_forward.name_conflicts AS
SELECT customer_email, count(DISTINCT customer_name) AS names
FROM shop.orders
GROUP BY customer_email
HAVING count(DISTINCT customer_name) > 1;
