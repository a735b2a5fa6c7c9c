// Prisma: `db pull` finds the same here and at PostgreSQL; the client that it generates reads and writes.
const assert = require('assert');
const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const home = process.env.PRISMA_HOME; // where the packages are, and a copy of tools/clients/prisma
const program = path.join(home, 'node_modules', 'prisma', 'build', 'index.js');
function prisma(dsn, ...words) {
  try {
    return execFileSync(process.execPath, [program, ...words], {
      cwd: home, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, TIDEMILL_DSN: dsn, PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1', NO_COLOR: '1' },
    });
  } catch (error) {
    throw new Error(`prisma ${words.join(' ')}: ${error.stdout}\n${error.stderr}`);
  }
}
const schema = path.join(home, 'schema.prisma');
const empty = fs.readFileSync(schema, 'utf8');
function pull(dsn) {
  fs.writeFileSync(schema, empty);
  prisma(dsn, 'db', 'pull', '--force');
  return fs.readFileSync(schema, 'utf8');
}

(async () => {
  const theirs = pull(process.env.REFERENCE_DSN);
  const ours = pull(process.env.TIDEMILL_DSN);
  assert(/model customers/.test(ours) && /enum mood/.test(ours) && /view names/.test(ours), ours);
  assert.deepStrictEqual(ours.split('\n'), theirs.split('\n'));
  prisma(process.env.TIDEMILL_DSN, 'generate');
  const { PrismaClient, Prisma } = require(path.join(home, 'generated'));
  const { PrismaPg } = require(path.join(home, 'node_modules', '@prisma/adapter-pg'));
  const client = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.TIDEMILL_DSN }, { schema: 'shop' }) });
  await client.lines.deleteMany({ where: { order_id: { gte: 1000n } } });
  await client.customers.deleteMany({ where: { id: { gte: 1000 } } });
  const made = await client.customers.create({ data: { id: 1000, name: 'Zoe', email: 'zoe@example.com', tags: ['p'], data: { n: [1, null] }, since: new Date('2024-05-06'), balance: '3.50' } });
  assert.deepStrictEqual([made.mood, made.country, made.tags, made.data, made.balance.toString()], ['ok', 'de', ['p'], { n: [1, null] }, '3.5']);
  await client.lines.createMany({ data: [1, 2, 3].map((line) => ({ order_id: 1000n, line, what: `w${line}` })) });
  assert.strictEqual((await client.lines.createMany({ data: [{ order_id: 1000n, line: 1, what: 'twice' }], skipDuplicates: true })).count, 0);
  await assert.rejects(client.lines.create({ data: { order_id: 1000n, line: 1, what: 'twice' } }), (e) => e.code === 'P2002');
  const upserted = await client.lines.upsert({ where: { order_id_line: { order_id: 1000n, line: 1 } }, update: { what: 'new' }, create: { order_id: 1000n, line: 1, what: 'made' } });
  assert.strictEqual(upserted.what, 'new');
  assert.strictEqual((await client.lines.updateMany({ where: { what: { startsWith: 'w', mode: 'insensitive' } }, data: { what: { set: 'x' } } }).catch((e) => e)).code, 'P2002');
  const found = await client.customers.findMany({ where: { OR: [{ mood: 'ok', name: { contains: 'o' } }, { tags: { has: 'a' } }, { data: { path: ['a'], equals: 1 } }] }, orderBy: { id: 'asc' }, take: 2, skip: 1 });
  assert.deepStrictEqual(found.map((c) => c.name), ['Bob', 'Zoe']);
  const grouped = await client.orders.groupBy({ by: ['customer'], _sum: { total: true }, _count: true, having: { total: { _avg: { gt: 1 } } }, orderBy: { customer: 'asc' } });
  assert.deepStrictEqual(grouped.map((g) => [g.customer, g._count]), [[1, 10], [2, 10], [3, 10]]);
  const page = await client.orders.findMany({ cursor: { id: 10n }, take: 3, orderBy: { id: 'desc' }, select: { id: true, ratio: true, t: true, b: true, j: true, absolute: true } });
  assert.deepStrictEqual(page.map((o) => o.id), [10n, 9n, 8n]);
  assert.deepStrictEqual([page[0].absolute.toString(), page[0].j, [...page[0].b]], ['15', { n: 1 }, [1]]);
  await assert.rejects(client.$transaction(async (tx) => { await tx.lines.deleteMany({}); throw new Error('no'); }));
  const [count, names] = await client.$transaction([client.lines.count({ where: { order_id: 1000n } }), client.names.findMany({ where: { loud: 'ANN' } })]);
  assert.deepStrictEqual([count, names.length], [3, 1]);
  const raw = await client.$queryRaw`SELECT n::int, ${'x'}::text AS x FROM shop.totals WHERE customer = ${1} AND n = ANY(${[10n, 11n]})`;
  assert.deepStrictEqual(raw, [{ n: 10, x: 'x' }]);
  assert.strictEqual(await client.$executeRaw`DELETE FROM shop.lines WHERE order_id = 1000 AND what LIKE ${Prisma.sql`${'w%'}`}`, 2);
  await client.customers.delete({ where: { email: 'zoe@example.com' } });
  await client.$disconnect();
  console.log('ok');
})().catch((error) => { console.error(error); process.exit(1); });
