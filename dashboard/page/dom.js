// Elements are made anew at each reading and laid over those that are there, so that focus, selection, scrolling and
// what has been opened stay. Text is set as text, never as markup.

const svgNamespace = 'http://www.w3.org/2000/svg';
const svgNames = new Set(['svg', 'g', 'path', 'line', 'polyline', 'polygon', 'text', 'circle', 'rect', 'title']);

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 */

/**
 * @param {string} name of the element; with classes behind dots: `p.dim.small`
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] left out when null or false
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement | SVGElement}
 */
export function h(name, attributes = {}, ...children) {
  const [tag = 'div', ...classes] = name.split('.');
  const made = /** @type {HTMLElement | SVGElement} */ (
    svgNames.has(tag) ? document.createElementNS(svgNamespace, tag) : document.createElement(tag)
  );
  if (classes.length > 0) made.setAttribute('class', classes.join(' '));
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? '' : `${value}`);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false)
      made.append(typeof child === 'number' ? `${child}` : child);
  }
  return made;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found;
}

/**
 * Makes the children of an element what is given.
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function fill(parent, ...children) {
  const wanted = document.createElement('div');
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false)
      wanted.append(typeof child === 'number' ? `${child}` : child);
  }
  layOver(parent, wanted);
}

/**
 * @param {Node} live
 * @param {Node} wanted
 */
function layOver(live, wanted) {
  const old = [...live.childNodes];
  const fresh = [...wanted.childNodes];
  for (const [index, next] of fresh.entries()) {
    const now = old[index];
    if (!now) live.appendChild(next);
    else if (now.nodeName !== next.nodeName) live.replaceChild(next, now);
    else if (now instanceof Text) {
      if (now.data !== /** @type {Text} */ (next).data) now.data = /** @type {Text} */ (next).data;
    } else if (now instanceof Element && next instanceof Element) {
      layAttributesOver(now, next);
      layOver(now, next);
    }
  }
  for (const left of old.slice(fresh.length)) left.remove();
}

/** What the reader has opened or scrolled to is theirs. */
const readersOwn = new Set(['open']);

/**
 * @param {Element} live
 * @param {Element} wanted
 */
function layAttributesOver(live, wanted) {
  for (const { name } of [...live.attributes]) {
    if (!wanted.hasAttribute(name) && !readersOwn.has(name)) live.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes)
    if (live.getAttribute(name) !== value) live.setAttribute(name, value);
}
