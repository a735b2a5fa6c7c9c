// node-postgres: promises, parameters, prepared statements, transactions, errors.
const { Client, Pool } = require('pg');
const assert = require('assert');

(async () => {
  const client = new Client({ connectionString: process.env.TIDEMILL_DSN });
  await client.connect();
  await client.query('DROP TABLE IF EXISTS nodepg CASCADE');
  await client.query('CREATE TABLE nodepg (id int, t text, j jsonb, ts timestamptz, a int[])');
  const at = new Date('2024-01-02T03:04:05.678Z');
  await client.query('INSERT INTO nodepg VALUES ($1, $2, $3, $4, $5)', [1, "x'y", { a: [1] }, at, [1, null]]);
  const { rows, fields } = await client.query('SELECT * FROM nodepg');
  assert.deepStrictEqual(rows, [{ id: 1, t: "x'y", j: { a: [1] }, ts: at, a: [1, null] }]);
  assert.deepStrictEqual(fields.map((f) => f.dataTypeID), [23, 25, 3802, 1184, 1007]);
  for (let i = 0; i < 3; i++) {
    const r = await client.query({ name: 'named', text: 'SELECT $1::int + 1 AS n', values: [i] });
    assert.strictEqual(r.rows[0].n, i + 1);
  }
  await client.query('BEGIN');
  await client.query('INSERT INTO nodepg (id) VALUES (2)');
  await client.query('ROLLBACK');
  await assert.rejects(client.query('SELECT 1/0'), (e) => e.code === '22012');
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b');
  assert.strictEqual(several[1].rows[0].b, 2);
  await client.end();
  const pool = new Pool({ connectionString: process.env.TIDEMILL_DSN, max: 4 });
  const got = await Promise.all([...Array(20).keys()].map((i) => pool.query('SELECT $1::int AS v', [i])));
  assert.deepStrictEqual(got.map((r) => r.rows[0].v), [...Array(20).keys()]);
  await pool.end();

  // postgres.js: pipelining, its own prepared statements and cursors.
  const sql = require('postgres')(process.env.TIDEMILL_DSN, { max: 2, onnotice: () => {} });
  const [first, second] = await Promise.all([sql`SELECT ${1}::int AS x`, sql`SELECT ${'y'}::text AS x`]);
  assert.deepStrictEqual([first[0].x, second[0].x], [1, 'y']);
  await sql.begin(async (tx) => {
    await tx`INSERT INTO nodepg ${tx([{ id: 5, t: 'five' }, { id: 6, t: 'six' }])}`;
  });
  assert.strictEqual((await sql`SELECT count(*)::int AS n FROM nodepg`)[0].n, 3);
  let count = 0;
  await sql`SELECT id FROM nodepg`.cursor(2, (rows) => { count += rows.length; });
  assert.strictEqual(count, 3);
  await sql.end();

  // The WebSocket.
  const WebSocket = require('ws');
  const socket = new WebSocket(`${process.env.TIDEMILL_HTTP.replace('http', 'ws')}/api/experimental/sql`);
  const messages = [];
  let wake = () => {};
  socket.on('message', (m) => { messages.push(JSON.parse(m)); wake(); });
  const until = async (type) => {
    const taken = [];
    for (;;) {
      while (messages.length) {
        taken.push(messages.shift());
        if (taken[taken.length - 1].type === type) return taken;
      }
      await new Promise((done) => { wake = done; });
    }
  };
  await new Promise((done) => socket.on('open', done));
  socket.send(JSON.stringify({ user: 'materialize', password: '', options: { application_name: 'ws' } }));
  const hello = await until('ReadyForQuery');
  assert(hello.some((m) => m.type === 'BackendKeyData'));
  assert(hello.some((m) => m.type === 'ParameterStatus' && m.payload.value === 'ws'));
  socket.send(JSON.stringify({ queries: [{ query: 'SELECT $1::int AS a', params: ['7'] }] }));
  assert.deepStrictEqual((await until('ReadyForQuery')).map((m) => m.type),
    ['CommandStarting', 'Rows', 'Row', 'CommandComplete', 'ReadyForQuery']);
  socket.send(JSON.stringify({ query: 'SELECT 1/0' }));
  assert.strictEqual((await until('Error'))[0].payload.code, '22012');
  await until('ReadyForQuery');
  socket.send(JSON.stringify({ query: 'BEGIN' }));
  assert.strictEqual((await until('ReadyForQuery')).pop().payload, 'T');
  socket.send(JSON.stringify({ query: 'COMMIT' }));
  await until('ReadyForQuery');
  socket.send(JSON.stringify({ query: 'SUBSCRIBE (SELECT id FROM nodepg)' }));
  for (let i = 0; i < 3; i++) await until('Row');
  socket.close();
  console.log('ok');
})().catch((error) => { console.error(error); process.exit(1); });
