// Prisma's schema engine as WebAssembly, over node-postgres: nothing but npm packages.
import { PrismaPg } from '@prisma/adapter-pg';
import { ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import pg from 'pg';
import { defineConfig } from 'prisma/config';

// The adapter does not know the type `"char"` of the catalogs, at no server: it gets a text from node-postgres, and the
// engine hears that it is a character.
const characters = new Map<string, number[]>();
const addFields = pg.Result.prototype.addFields;
pg.Result.prototype.addFields = function (fields) {
  const found = fields.flatMap((field, i) => (field.dataTypeID === 18 ? [i] : []));
  characters.set(fields.map((field) => field.name).join(), found);
  for (const i of found) fields[i].dataTypeID = 25;
  addFields.call(this, fields);
};

class Adapter extends PrismaPg {
  async connect() {
    const adapter = await super.connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const result = await queryRaw(query);
      for (const i of characters.get(result.columnNames.join()) ?? []) result.columnTypes[i] = ColumnTypeEnum.Character;
      return result;
    };
    return adapter;
  }
}

export default defineConfig({
  schema: './schema.prisma',
  experimental: { adapter: true },
  engine: 'js',
  adapter: async () => new Adapter({ connectionString: process.env.TIDEMILL_DSN }, { schema: 'shop' }),
});
