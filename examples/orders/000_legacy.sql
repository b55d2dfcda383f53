-- Orders that carry their customer and address in columns, again and again.

CREATE SCHEMA shop;

CREATE TABLE shop.orders (
  -- squawk-ignore prefer-identity
  id BIGSERIAL PRIMARY KEY,
  customer_email TEXT NOT NULL,
  customer_name TEXT,
  street TEXT NOT NULL,
  zip TEXT NOT NULL,
  city TEXT NOT NULL,
  total_cents INTEGER NOT NULL,
  note TEXT,
  ordered_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
