import { writeFile } from 'node:fs/promises';
import { withMigratedDatabase } from './generated-database.ts';
import { dumpSchema, generateTypes, SCHEMA_FILE, TYPES_FILE } from './schema-dump.ts';

// Rewrites what the repository keeps of the schema from a fresh database: run it after a new migration.
await withMigratedDatabase(async (url, client) => {
  await writeFile(TYPES_FILE, await generateTypes(url));
  await writeFile(SCHEMA_FILE, await dumpSchema(client));
});
