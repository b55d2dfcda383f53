/** Texts that are keys and scopes: what quoting, JSON, arrays, LIKE, COPY or the queue might trip over. */
export const texts: readonly string[] = [
  '',
  ' ',
  "'",
  '"',
  '\\',
  "it''s \\' \"",
  '$1 $$ $witness$ %s %I',
  '{a,b,"c",NULL}',
  'NULL',
  'a\nb\r\nc\td',
  '\u0001\u001f\u007f',
  '\u0085\u2028\u2029\ufeff',
  // Not in what SQS takes.
  '\ufffe\uffff',
  '\ufdd0\u{1fffe}\u{10ffff}',
  '💾 👩‍👩‍👧‍👦 é e\u0301 ß ſ İ ı',
  'שלום \u202e مرحبا',
  "'; DROP TABLE users; --",
  '</script><script>alert(1)</script>',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  'x'.repeat(2_000),
  '💾'.repeat(300),
];

/** SQL of each type's values at its limits; each list is as long as is needed. */
const values: Readonly<Record<string, readonly string[]>> = {
  a_smallint: ['-32768', '32767', '0'],
  an_integer: ['-2147483648', '2147483647', '0'],
  a_bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  a_numeric: [
    "'NaN'",
    "'Infinity'",
    "'-Infinity'",
    '1.10',
    '1.100',
    '-0.0',
    `1e131071::numeric`,
    `1e-16383::numeric`,
    '123456789012345678901234567890.123456789012345678901234567890',
  ],
  a_money: ['9999999999.99', '-9999999999.99', "'NaN'"],
  a_real: ["'NaN'", "'Infinity'", "'-0'", '3.4028235e38', '1e-45'],
  a_double: ["'NaN'", "'-Infinity'", "'-0'", '1.7976931348623157e308', '5e-324', '0.1::float8 + 0.2::float8'],
  a_text: ["''", "' '", "E'\\uFFFF\\uFFFE'", "repeat('x', 1048576)", "E'\\\\N'"],
  a_varchar: ["'äöüß💾'", "''"],
  a_char: ["''", "'a'", "'     '"],
  bytes: ["''", "'\\x00'", "'\\x00ff27225c'", "decode(repeat('00ff', 100000), 'hex')"],
  a_boolean: ['true', 'false'],
  a_date: ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'0001-02-29 BC'"],
  a_time: ["'00:00'", "'24:00'", "'23:59:59.999999'"],
  a_timetz: ["'00:00+15:59'", "'24:00-15:59'", "'23:59:59.999999+05:30'"],
  a_timestamp: ["'infinity'", "'-infinity'", "'4713-01-01 00:00 BC'", "'294276-12-31 23:59:59.999999'"],
  a_timestamptz: [
    "'infinity'",
    "'4713-01-01 00:00+00 BC'",
    "'294276-12-31 23:59:59.999999+00'",
    "'2026-10-25 02:30+02'",
  ],
  an_interval: ["'1 mon'", "'30 days'", "'720 hours'", "'-178000000 years'", "'1 year -2 days 03:04:05.000006'"],
  a_uuid: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  a_jsonb: [
    "'null'",
    `'""'`,
    "'1.10'",
    "'1.100'",
    `'{"a": {"b": [null, true, -0, 1e400]}}'`,
    `jsonb_build_object('large', repeat('y', 1000000))`,
  ],
  a_json: [`'{"b" :1,  "a":1, "a":2}'`, "' null '"],
  an_xml: ['\'<a b="c">&amp;</a>\'', "''"],
  integers: ["'{}'", "'{NULL,-2147483648}'", "'[-2:0]={1,2,3}'", "'{{1,2},{3,4}}'"],
  numbers: ["'{}'", "'{1.10,NaN,NULL}'"],
  texts: ["'{}'", `'{"",NULL,"NULL","\\"","\\\\",","}'`, "array_fill('z'::text, ARRAY[10000])"],
  a_range: ["'empty'", "'(,)'", "'[-2147483648,2147483647)'"],
  times: ["'empty'", "'[-infinity,infinity]'", "'(2026-01-01 00:00:00.000001+00,)'"],
  ranges: ["'{}'", "'{(,1.10),[2,NaN]}'"],
  an_inet: ["'0.0.0.0/0'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'", "'10.1.2.3/8'"],
  bits: ["B''", "B'1010'", "repeat('01', 500)::bit varying"],
  a_point: ["'(NaN,-0)'", "'(Infinity,1e-300)'"],
  words: ["''", "'a:1A,2B ''b c'':3'"],
};

/** INSERT of rows that have each value once, and one of NULLs, with ids from `first`. */
export function extremes(name: string, first: number): string {
  const columns = Object.keys(values);
  const count = Math.max(...Object.values(values).map((list) => list.length)) + 1;
  const rows = Array.from({ length: count }, (_, n) => {
    const cells = columns.map((column) => values[column]?.[n] ?? 'NULL');
    return `INSERT INTO ${name} (id, ${columns.join(', ')}) VALUES (${first + n}, ${cells.join(', ')})`;
  });
  return rows.join('; ');
}
