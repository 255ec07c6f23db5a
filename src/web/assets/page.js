// Renews live pages while they are looked at: the content is replaced, scroll and focus stay.
const EVERY = 5_000;
let isUnderWay = false;

async function renew() {
  if (isUnderWay || document.hidden || document.querySelector('dialog[open], form.busy')) return;
  // Whoever fills in a form on a live page shall not lose what they typed.
  if (document.activeElement?.closest('main form') || isFilledIn()) return;
  isUnderWay = true;
  try {
    const headers = { accept: 'text/html' };
    const response = await fetch(location.href, { headers, signal: AbortSignal.timeout(60_000) });
    if (response.redirected) return location.reload();
    const next = new DOMParser().parseFromString(await response.text(), 'text/html');
    const [now, fresh] = [document.querySelector('main'), next.querySelector('main')];
    if (!response.ok || !now || !fresh) throw new Error('no page');
    document.body.classList.remove('stale');
    if (now.innerHTML !== fresh.innerHTML) replace(now, fresh);
    document.title = next.title;
  } catch {
    document.body.classList.add('stale');
  } finally {
    isUnderWay = false;
  }
}

function isFilledIn() {
  const fields = [...document.querySelectorAll('main form :is(input, textarea)')];
  return fields.some((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked);
}

function replace(now, fresh) {
  const focused = markOf(document.activeElement, now);
  const scrolled = [...now.querySelectorAll('.scroll')].map((one) => [
    one.scrollLeft,
    one.scrollTop,
  ]);
  const open = [...now.querySelectorAll('details')].map((one) => one.open);
  now.replaceChildren(...fresh.childNodes);
  now.querySelectorAll('.scroll').forEach((one, index) => {
    const [left, top] = scrolled[index] ?? [0, 0];
    one.scrollTo(left, top);
  });
  now.querySelectorAll('details').forEach((one, index) => {
    one.open = open[index] ?? one.open;
  });
  if (focused) alike(focused.name, now).at(focused.index)?.focus({ preventScroll: true });
}

// How an element is found again in new content: it is the nth of those that go by the same name.
function markOf(one, main) {
  if (!one || !main.contains(one)) return null;
  const name = nameOf(one);
  return { name, index: alike(name, main).indexOf(one) };
}

function alike(name, main) {
  return [...main.querySelectorAll('*')].filter((one) => nameOf(one) === name);
}

function nameOf(one) {
  const marks = ['id', 'href', 'aria-label', 'name', 'value'].map((mark) => one.getAttribute(mark));
  return [one.localName, ...marks].join(' ');
}

if (document.body.hasAttribute('data-live')) setInterval(renew, EVERY);

// A form is sent once, however often its button is pressed.
document.addEventListener('submit', (event) => {
  const { target } = event;
  if (target.classList.contains('busy')) return event.preventDefault();
  setTimeout(() => target.classList.add('busy'));
  say(target, (one) => one.dataset.working);
});
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form.busy')) {
    form.classList.remove('busy');
    say(form, () => '');
  }
});

// What takes its time says so, to screen readers too.
function say(form, text) {
  for (const one of form.querySelectorAll('[data-working]')) one.textContent = text(one);
}
