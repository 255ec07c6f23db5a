import { writeFile } from 'node:fs/promises';
import { DICTIONARY_FILE, writeDictionary } from './data-dictionary.ts';
import { withMigratedDatabase } from './generated-database.ts';

// Rewrites the data dictionary from the comments of a fresh database: run it after a new migration.
await withMigratedDatabase(async (_url, client) => {
  await writeFile(DICTIONARY_FILE, await writeDictionary(client));
});
