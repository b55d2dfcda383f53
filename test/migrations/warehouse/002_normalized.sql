CREATE SCHEMA new_shop;

CREATE TABLE new_shop.customers (
  email TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  line_count INTEGER NOT NULL
);
CREATE TABLE new_shop.orders (
  order_no BIGINT PRIMARY KEY,
  email TEXT NOT NULL REFERENCES new_shop.customers (email),
  total NUMERIC(12,2) NOT NULL
);
CREATE TABLE new_shop.order_lines (
  order_no BIGINT NOT NULL REFERENCES new_shop.orders (order_no) ON DELETE CASCADE,
  line_no SMALLINT NOT NULL,
  "position" INTEGER NOT NULL,
  sku TEXT NOT NULL,
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  note JSON,
  PRIMARY KEY (order_no, line_no),
  UNIQUE (order_no, "position") DEFERRABLE
);
CREATE TABLE new_shop.products (
  sku TEXT PRIMARY KEY,
  price NUMERIC(10,2),
  sold BIGINT NOT NULL,
  in_stock INTEGER NOT NULL
);
CREATE TABLE new_shop.sku_customers (
  sku TEXT NOT NULL,
  email TEXT NOT NULL,
  "lines" BIGINT NOT NULL,
  PRIMARY KEY (sku, email)
);
