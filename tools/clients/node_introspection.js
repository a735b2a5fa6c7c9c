// drizzle-kit, knex and TypeORM against both servers: what they find in the schema `shop` is the same.
const assert = require('assert');
const { execFileSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const servers = { tidemill: process.env.TIDEMILL_DSN, postgres: process.env.REFERENCE_DSN };

async function knex(dsn) {
  const db = require('knex')({ client: 'pg', connection: dsn, pool: { min: 0, max: 3 } });
  const shop = db.withSchema('shop');
  const found = { tables: {} };
  for (const table of ['customers', 'orders', 'lines', 'Mixed Case', 'names']) {
    found.tables[table] = [await db.schema.withSchema('shop').hasTable(table), await db(table).withSchema('shop').columnInfo()];
  }
  found.column = await db.schema.withSchema('shop').hasColumn('customers', 'email');
  found.sum = (await shop.from('orders').where('customer', 1).andWhere('paid', true).sum({ s: 'total' }).count({ n: '*' }).first());
  found.joined = await db('shop.orders as o').join('shop.customers as c', 'c.id', 'o.customer').groupBy('c.name').orderBy('c.name').select('c.name').max('o.total');
  await db.destroy();
  return found;
}

async function knexWrites(dsn) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'knex'));
  fs.writeFileSync(path.join(directory, '1_first.js'), `
    exports.up = async (db) => { await db.schema.createTable('knex_t', (t) => { t.increments('id'); t.string('name', 30).notNullable().unique(); t.decimal('n', 8, 2).defaultTo(1); t.timestamps(true, true); t.jsonb('doc'); t.index(['n'], 'knex_n'); }); };
    exports.down = async (db) => { await db.schema.dropTable('knex_t'); };`);
  fs.writeFileSync(path.join(directory, '2_second.js'), `
    exports.up = async (db) => { await db.schema.alterTable('knex_t', (t) => { t.integer('more').defaultTo(5); t.renameColumn('n', 'number'); }); };
    exports.down = async (db) => { await db.schema.alterTable('knex_t', (t) => { t.dropColumn('more'); t.renameColumn('number', 'n'); }); };`);
  const db = require('knex')({ client: 'pg', connection: dsn, migrations: { directory } });
  await db.raw('DROP TABLE IF EXISTS knex_t, knex_migrations, knex_migrations_lock CASCADE');
  await db.migrate.latest();
  await db.migrate.rollback(undefined, true);
  await db.migrate.latest();
  assert.deepStrictEqual((await db.migrate.list())[1], []);
  const ids = await db('knex_t').insert([{ name: 'a', doc: { a: 1 } }, { name: 'b', doc: '[]' }]).returning('id');
  assert.deepStrictEqual(ids, [{ id: 1 }, { id: 2 }]);
  await db('knex_t').insert({ name: 'a', number: 9 }).onConflict('name').merge(['number']);
  await db('knex_t').insert({ name: 'a', number: 10 }).onConflict('name').ignore();
  await db.transaction(async (tx) => {
    assert.strictEqual(await tx('knex_t').where({ name: 'b' }).update({ more: 6 }), 1);
    await assert.rejects(tx.transaction(async (inner) => { await inner('knex_t').del(); throw new Error('no'); }));
    assert.strictEqual((await tx('knex_t').where({ name: 'b' }).first()).more, 6);
  });
  assert.deepStrictEqual(await db('knex_t').select('name', 'number', 'more').orderBy('name'), [{ name: 'a', number: '9.00', more: 5 }, { name: 'b', number: '1.00', more: 6 }]);
  const names = [];
  for await (const row of db('knex_t').orderBy('id').stream()) names.push(row.name);
  assert.deepStrictEqual(names, ['a', 'b']);
  await db.destroy();
}

async function typeorm(dsn) {
  require('reflect-metadata');
  const { DataSource, EntitySchema } = require('typeorm');
  const Author = new EntitySchema({
    name: 'Author', tableName: 'to_authors',
    columns: {
      id: { type: Number, primary: true, generated: 'increment' }, name: { type: String, length: 50, unique: true },
      tags: { type: 'text', array: true, default: [] }, born: { type: 'date', nullable: true }, doc: { type: 'jsonb', nullable: true },
      mood: { type: 'enum', enum: ['sad', 'ok'], default: 'ok' }, at: { type: 'timestamptz', createDate: true }, key: { type: 'uuid', generated: 'uuid' },
      balance: { type: 'numeric', precision: 10, scale: 2, default: 0 },
      loud: { type: 'text', generatedType: 'STORED', asExpression: 'upper(name)', nullable: true },
    },
    indices: [{ name: 'to_authors_born', columns: ['born'] }],
  });
  const Book = new EntitySchema({
    name: 'Book', tableName: 'to_books',
    columns: { id: { type: 'bigint', primary: true, generated: 'increment' }, title: { type: 'text' } },
    relations: { author: { type: 'many-to-one', target: 'Author', eager: true, createForeignKeyConstraints: false } },
  });
  const source = new DataSource({ type: 'postgres', url: dsn, entities: [Author, Book], synchronize: true, dropSchema: false, installExtensions: false, uuidExtension: 'pgcrypto' });
  await source.initialize();
  await source.query('DELETE FROM to_books');
  await source.query('DELETE FROM to_authors');
  await source.synchronize(); // there is nothing left to change
  const sql = await source.driver.createSchemaBuilder().log();
  const authors = source.getRepository('Author');
  const ann = await authors.save({ name: 'ann', tags: ['x', 'y'], doc: { a: [1] } });
  assert(ann.id && ann.key && ann.at instanceof Date);
  await source.getRepository('Book').save([{ title: 'one', author: ann }, { title: 'two', author: ann }]);
  ann.name = 'anna';
  await authors.save(ann);
  const books = await source.getRepository('Book').find({ where: { author: { name: 'anna' } }, order: { title: 'ASC' } });
  assert.deepStrictEqual(books.map((b) => [b.title, b.author.tags]), [['one', ['x', 'y']], ['two', ['x', 'y']]]);
  const [page, count] = await source.getRepository('Book').findAndCount({ skip: 1, take: 1, order: { id: 'ASC' } });
  assert.deepStrictEqual([page.length, count], [1, 2]);
  await authors.upsert({ name: 'anna', balance: 3 }, ['name']);
  const raw = await authors.createQueryBuilder('a').select('a.mood', 'mood').addSelect('count(*)', 'n').where('a.balance > :b', { b: 2 }).groupBy('a.mood').getRawMany();
  assert.deepStrictEqual(raw, [{ mood: 'ok', n: '1' }]);
  await assert.rejects(source.transaction(async (manager) => { await manager.delete('Book', {}); throw new Error('no'); }));
  assert.strictEqual(await source.getRepository('Book').count(), 2);
  const runner = source.createQueryRunner();
  const tables = await runner.getTables(['shop.customers', 'shop.orders', 'shop.lines', 'shop.Mixed Case']);
  await runner.release();
  await source.destroy();
  const plain = (o, keys) => Object.fromEntries(keys.map((k) => [k, o[k]]));
  return {
    sql: [...sql.upQueries, ...sql.downQueries].map((q) => q.query),
    tables: tables.map((t) => ({
      name: t.name, comment: t.comment,
      columns: t.columns.map((c) => plain(c, ['name', 'type', 'length', 'isNullable', 'isPrimary', 'isUnique', 'isGenerated', 'generationStrategy', 'isArray', 'default', 'precision', 'scale', 'comment', 'enum', 'enumName', 'generatedType', 'asExpression'])),
      indices: t.indices.map((i) => plain(i, ['name', 'columnNames', 'isUnique', 'where'])), uniques: t.uniques.map((u) => plain(u, ['name', 'columnNames'])),
      checks: t.checks.map((u) => plain(u, ['name', 'columnNames', 'expression'])), foreignKeys: t.foreignKeys.length,
    })),
  };
}

// drizzle-kit writes what it finds as TypeScript and as a snapshot.
async function drizzle(dsn) {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle'));
  const config = path.join(out, 'drizzle.config.js');
  fs.writeFileSync(config, `module.exports = ${JSON.stringify({ dialect: 'postgresql', out, dbCredentials: { url: dsn }, schemaFilter: ['shop'], introspect: { casing: 'preserve' } })};`);
  const program = path.join(process.env.NODE_PATH, 'drizzle-kit', 'bin.cjs');
  const output = execFileSync(process.execPath, [program, 'introspect', `--config=${config}`], { cwd: out, encoding: 'utf8', stdio: 'pipe' });
  assert(!/error/i.test(output), output);
  const read = (name) => fs.readFileSync(path.join(out, name), 'utf8');
  const found = [read('schema.ts')];
  fs.rmSync(out, { recursive: true });
  return found;
}

(async () => {
  await knexWrites(servers.tidemill);
  let failed = false;
  for (const [name, ask] of Object.entries({ knex, typeorm, drizzle })) {
    const ours = await ask(servers.tidemill);
    const theirs = await ask(servers.postgres);
    try {
      assert.deepStrictEqual(ours, theirs);
    } catch (error) {
      failed = true;
      console.error(`${name}: what is found here (+) is not what is found at PostgreSQL (-)\n${error.message}`);
    }
  }
  if (failed) process.exit(1);
  console.log('ok');
})().catch((error) => { console.error(error, error.stdout, error.stderr); process.exit(1); });
