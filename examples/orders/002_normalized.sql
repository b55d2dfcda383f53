CREATE SCHEMA sales;

CREATE TABLE sales.customers (
  email TEXT PRIMARY KEY,
  name TEXT NOT NULL
);

CREATE TABLE sales.addresses (
  customer_email TEXT NOT NULL REFERENCES sales.customers (email),
  -- Made of the address itself: the same one has the same id, however often it is derived.
  id UUID NOT NULL,
  street TEXT NOT NULL,
  zip TEXT NOT NULL,
  city TEXT NOT NULL,
  PRIMARY KEY (customer_email, id)
);

CREATE TABLE sales.orders (
  id BIGINT PRIMARY KEY DEFAULT nextval('shop.orders_id_seq'),
  customer_email TEXT NOT NULL REFERENCES sales.customers (email),
  address_id UUID NOT NULL,
  total_cents INTEGER NOT NULL CHECK (total_cents >= 0),
  note TEXT,
  ordered_at TIMESTAMPTZ NOT NULL,
  FOREIGN KEY (customer_email, address_id) REFERENCES sales.addresses (customer_email, id)
);
CREATE INDEX orders_address ON sales.orders (customer_email, address_id);
