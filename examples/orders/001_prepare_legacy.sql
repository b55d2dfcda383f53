-- Many orders become one customer, so a customer's row cannot tell which orders it came from: an order that is deleted,
-- or changes hands, must say whose it was. Its replica identity therefore holds the routing column as well. On a large
-- table make both indexes CONCURRENTLY, in a step of their own ("-- lockstep: no transaction").

CREATE UNIQUE INDEX orders_identity ON shop.orders (id, customer_email);
ALTER TABLE shop.orders REPLICA IDENTITY USING INDEX orders_identity;

-- From the scope to its rows.
CREATE INDEX orders_customer ON shop.orders (customer_email);
