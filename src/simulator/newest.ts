/**
 * Adds to a list of which no more than the newest `most` are kept; by default all are.
 *
 * The list stays the same object: whoever looks at it sees what is kept now.
 */
export function addNewest<T>(list: T[], one: T, most = Number.POSITIVE_INFINITY): void {
  list.push(one);
  if (list.length > most) list.splice(0, list.length - most);
}
