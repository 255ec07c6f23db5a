/** Something that was done to the service or around it. */
export interface Incident {
  readonly what: string;
  /** Milliseconds since the epoch; still going on while `until` is null. */
  readonly at: number;
  until: number | null;
  /** The processes that may have lost their work or their connection to Postgres by it. */
  pids: readonly number[];
}

/** Something that must not be: what, and its facts, without personal data. */
export interface Finding {
  readonly what: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Everything that was done, and everything that was found on the way. */
export interface Journal {
  readonly incidents: readonly Incident[];
  readonly findings: readonly Finding[];
  /** Notes an incident and answers how to note its end, with the processes that have come to be hit since. */
  note(what: string, pids?: readonly number[]): (more?: readonly number[]) => void;
  find(what: string, facts: Finding['facts']): void;
}

/** An empty journal. */
export function openJournal(): Journal {
  const incidents: Incident[] = [];
  const findings: Finding[] = [];
  return {
    incidents,
    findings,
    note(what, pids = []) {
      const incident: Incident = { what, at: Date.now(), until: null, pids };
      incidents.push(incident);
      return (more = []) => {
        incident.until ??= Date.now();
        incident.pids = [...incident.pids, ...more];
      };
    },
    find: (what, facts) => void findings.push({ what, facts }),
  };
}

/** How often each thing is there. */
export function countBy<T>(all: readonly T[], name: (one: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of all) counts[name(one)] = (counts[name(one)] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
